"""Steps that follow from a time, while the run goes.

How fast a machine will be in five minutes no measurement of two seconds tells. At a constant
learning rate it need not be known: the number of steps matters only from where the rate begins to
fall, and there it is settled, from the pace of all steps so far. The same number given from the
start makes the same run.
"""

from dataclasses import dataclass, replace

from charlm.training.averaging import AVERAGE_SHARE
from charlm.training.common import last_common_step
from charlm.training.config import TrainingConfig
from charlm.training.schedule import decay_share

ROUNDING = 1e-9  # of a number of steps


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may take."""

    seconds: float  # of training, with its validations
    max_steps: int  # more the text is not worth


def level_share(config: TrainingConfig) -> float | None:
    """The share of the steps, from the first, that are the same however many there will be.

    None: of none that can be said.
    """
    if config.schedule != "constant" or config.averaging == "triggered":
        return None
    share = decay_share(config)
    if config.averaging == "tail":
        share = max(share, config.average_share or AVERAGE_SHARE)
    return 1 - share if 0 < share < 1 else None


def fitting_steps(config: TrainingConfig, step: int, seconds: float, budget: Budget) -> int:
    """Return how many steps fit into a budget if all go as the first `step` did, in `seconds`.

    At least so many that what has been done is what any longer run has done too.
    """
    fitting = step + max(0.0, budget.seconds - seconds) * step / seconds  # may be infinite
    return max(int(min(fitting + ROUNDING, budget.max_steps)), fewest_steps(config, step))


def fewest_steps(config: TrainingConfig, step: int) -> int:
    """Return the fewest steps of a run that has `step` in common with any longer one."""
    level = level_share(config)
    assert level is not None and step > 0
    steps = max(step, int((step - 1) / level) - 3)
    while not is_common(config, step, steps):  # shares of the steps are rounded
        steps += 1
    return steps


def is_settled(config: TrainingConfig, step: int, steps: int) -> bool:
    """Return whether the next step of a run of so many is no longer that of a longer one."""
    return not is_common(config, step + 1, steps)


def is_common(config: TrainingConfig, step: int, steps: int) -> bool:
    """Return whether a run of `steps` has `step` in common with any longer one."""
    return step <= (last_common_step(replace(config, steps=steps)) or 0)
