"""Number of steps for a time budget, determined during the run.

A measurement of two seconds does not predict the speed of a machine five minutes later. At a
constant learning rate no prediction is needed: the number of steps matters only from the step where
the rate begins to decay. The number is fixed there, from the average speed of all steps so far. A
run that is given the same number from the start is the same run.
"""

from dataclasses import dataclass, replace

from charlm.training.averaging import AVERAGE_SHARE
from charlm.training.common import last_common_step
from charlm.training.config import TrainingConfig
from charlm.training.schedule import decay_share

ROUNDING = 1e-9  # tolerance, in steps, when a number of steps is rounded down


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of a run in time and steps."""

    seconds: float  # of training, including validations
    max_steps: int  # more steps would overfit


def level_share(config: TrainingConfig) -> float | None:
    """Return the initial share of the steps that does not depend on their number, in (0, 1).

    Returns None if there is no such share: with a schedule other than "constant", with averaging
    "triggered", or if the rate or averaging changes from the first step on or never.
    """
    if config.schedule != "constant" or config.averaging == "triggered":
        return None
    share = decay_share(config)
    if config.averaging == "tail":
        share = max(share, config.average_share or AVERAGE_SHARE)
    return 1 - share if 0 < share < 1 else None


def fitting_steps(config: TrainingConfig, step: int, seconds: float, budget: Budget) -> int:
    """Return the number of steps that fit into a budget at the average speed so far.

    The result is at least `fewest_steps(config, step)`, so that the steps taken so far are those of
    any longer run.

    Args:
        config: settings of the run; `steps` is ignored.
        step: steps taken so far, more than 0.
        seconds: time that these steps took.
        budget: limits of the run.
    """
    fitting = step + max(0.0, budget.seconds - seconds) * step / seconds  # may be infinite
    return max(int(min(fitting + ROUNDING, budget.max_steps)), fewest_steps(config, step))


def fewest_steps(config: TrainingConfig, step: int) -> int:
    """Return the smallest length of a run whose first `step` steps are those of any longer run."""
    level = level_share(config)
    assert level is not None and step > 0
    steps = max(step, int((step - 1) / level) - 3)
    while not is_common(config, step, steps):  # because shares of the steps are rounded
        steps += 1
    return steps


def is_settled(config: TrainingConfig, step: int, steps: int) -> bool:
    """Return whether, from the next step on, a run of `steps` differs from a longer run."""
    return not is_common(config, step + 1, steps)


def is_common(config: TrainingConfig, step: int, steps: int) -> bool:
    """Return whether the first `step` steps of a run of `steps` are those of any longer run."""
    return step <= (last_common_step(replace(config, steps=steps)) or 0)
