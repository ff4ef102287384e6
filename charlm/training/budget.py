"""Steps that follow from a time, while the run goes.

How fast a machine will be in five minutes no measurement of two seconds tells. At a constant
learning rate it need not be known: the number of steps matters only from where the rate begins to
fall, and there it is settled, from the pace of all steps so far. The same number given from the
start makes the same run.
"""

from dataclasses import dataclass

from charlm.training.averaging import AVERAGE_SHARE
from charlm.training.config import TrainingConfig
from charlm.training.schedule import DECAY_SHARE

ROUNDING = 1e-9  # of a share of the steps


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
    share = DECAY_SHARE if config.decay_share is None else config.decay_share
    if config.averaging == "tail":
        share = max(share, config.average_share or AVERAGE_SHARE)
    return 1 - share if 0 < share < 1 else None


def fitting_steps(config: TrainingConfig, step: int, seconds: float, budget: Budget) -> int:
    """How many steps fit into a budget if all go as the first `step` did, in so many seconds.

    At least so many that nothing of what has been done comes after where the rate begins to fall.
    """
    level = level_share(config)
    assert level is not None and step > 0
    fitting = step + int(max(0.0, budget.seconds - seconds) * step / seconds)
    return max(min(fitting, budget.max_steps), int(step / level + ROUNDING))
