"""Extension of a run beyond its planned length.

A longer run of the same settings takes the same steps as long as nothing depends on their number:
until the learning rate of "constant" begins to decay, or until the final step if the rate never
decays. The state of that step is kept (state/level.safetensors), and the longer run continues from
it. Its steps, losses and validations are bit for bit those of a run that had this length from the
start. The weights that the shorter run kept stay in model.safetensors until a validation is better.

The rate of "cosine" depends on the number of steps from the first one on, and the state from before
the decay may be missing. In these cases the run continues from its last step, on the schedule of
the new length.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from charlm.errors import CheckpointError, ConfigError
from charlm.location import RECIPE, command_line
from charlm.training import rules
from charlm.training.averaging import PREFIX, tail_steps
from charlm.training.budget import Budget, fitting_steps, level_share
from charlm.training.common import last_common_step
from charlm.training.config import TrainingConfig
from charlm.training.pace import MARGIN, parse_time
from charlm.training.recipe import LENGTHS, Length
from charlm.training.rules import Facts
from charlm.training.run import Progress
from charlm.training.saved_state import Saved
from charlm.training.schedule import decay_share, learning_rate


@dataclass(frozen=True, slots=True)
class RunSize:
    """Sizes that are needed to convert epochs and times into steps."""

    steps_per_epoch: float
    facts: Facts  # of the training text
    num_halves: int  # of the run, which divide the time equally: 1 or 2


@dataclass(frozen=True, slots=True)
class Extension:
    """State from which a longer run continues, and a note for the user."""

    tensors: Mapping[str, Tensor]
    training: TrainingConfig
    progress: Progress
    arithmetic: Mapping[str, str | int]  # saved with the state
    note: str


def extend(
    folder: Path, saved: Saved, level: Saved | None, length: Length, size: RunSize
) -> Extension | None:
    """Return the state from which a run continues that is extended to a length.

    Args:
        folder: of the run, for error messages.
        saved: last state of the run, finished or not.
        level: state kept in level.safetensors, if there is one.
        length: of the whole run, counted from its first step.
        size: of an epoch and of the text.

    Returns:
        None if the run already has this length.

    Raises:
        ConfigError: the run would not be longer, or the length is invalid.
        CheckpointError: the run stopped early, and so would a longer one.
    """
    check_one(length)
    base = continuation(folder, saved, level)
    is_common = base is not saved or is_independent(saved)
    budget = None
    if length.time is not None:
        check_time(saved, base, length.time, size)
        budget, steps = steps_in_time(base, length.time, size)
    elif length.epochs is not None:
        steps = math.ceil(length.epochs * size.steps_per_epoch)
    else:
        assert length.steps is not None
        steps = length.steps
    if steps == saved.training.steps and budget is None and saved.progress.budget is None:
        return None
    check_longer(saved, length, steps)
    training = replace(saved.training, steps=steps)
    common = last_common_step(training)
    is_exact = is_common and common is not None and common >= base.progress.step
    tensors = base.tensors
    if training.averaging == "tail" and base.progress.step <= steps - tail_steps(training):
        tensors = {name: t for name, t in tensors.items() if not name.startswith(PREFIX)}
    progress = replace(
        base.progress,
        **earlier_weights(saved, base),
        budget_seconds=None if budget is None else budget.seconds,
        max_steps=None if budget is None else budget.max_steps,
    )
    note = describe_exact if is_exact else describe_inexact
    said = note(saved, base, training, budget)
    return Extension(tensors, training, progress, base.arithmetic, said)


def check_one(length: Length) -> None:
    """Check that exactly one length is given, and that a number of epochs is valid.

    Raises:
        ConfigError: none or several are given, or the number of epochs is not above 0 and finite.
    """
    if sum(getattr(length, name) is not None for name in LENGTHS) != 1:
        raise ConfigError("--time, --epochs and --steps exclude each other; choose one.")
    if length.epochs is not None and not 0 < length.epochs < math.inf:
        raise ConfigError(f"--epochs must be above 0, not {length.epochs:g}.")


def continuation(folder: Path, saved: Saved, level: Saved | None) -> Saved:
    """Return the latest state that a longer run also passes through, or the last state if none.

    Raises:
        CheckpointError: the run stopped early, and so would a longer one.
    """
    if is_independent(saved):
        if saved.progress.stopped:
            raise stopped_early(folder, saved)
        return saved
    if level is not None and same_settings(level, saved) and not level.progress.stopped:
        return level
    if saved.progress.stopped:
        raise stopped_early(folder, saved)
    return saved


def stopped_early(folder: Path, saved: Saved) -> CheckpointError:
    """Return the error for a run that stopped early and would do so at any length."""
    return CheckpointError(
        f"{folder} stopped early, at step {saved.progress.step:,}: validation did not improve "
        f"{saved.training.patience} times in a row, and would not in a longer run; start a new run "
        f"with `{command_line('train', '--recipe', folder / RECIPE)}` and a higher --patience."
    )


def is_independent(saved: Saved) -> bool:
    """Return whether a state does not depend on the total number of steps."""
    if saved.progress.budget is not None:  # the number is not fixed yet
        return True
    training, step = saved.training, saved.progress.step
    common = last_common_step(training)
    if common is None or step > common:
        return False
    return step < training.steps or step % training.valid_every == 0


def same_settings(one: Saved, other: Saved) -> bool:
    """Return whether two states have the same settings, except for steps and precision."""
    first, second = (
        replace(saved.training, steps=1, precision="float32") for saved in (one, other)
    )
    return first == second


def seconds_of_half(time: str, size: RunSize) -> float:
    """Return the seconds of training per half in a time for the whole run.

    The margin that is never planned (`MARGIN`) is left out.

    Raises:
        ConfigError: `time` is not a duration above 0.
    """
    return parse_time(time) / size.num_halves * MARGIN


def check_time(saved: Saved, base: Saved, time: str, size: RunSize) -> None:
    """Check that a time is more than the run has taken and no less than its present budget.

    Raises:
        ConfigError: the time is too short, or no step has been taken to estimate the speed from.
    """
    spent, given = saved.progress.seconds, saved.progress.budget_seconds
    if not (base.progress.step and base.progress.seconds):
        raise ConfigError(
            "--time has no effect before the first step of a run; use --steps or --epochs."
        )
    if given is not None and seconds_of_half(time, size) < given:
        raise ConfigError(
            f"--time {time} is for the whole run, which has "
            f"{given / MARGIN * size.num_halves:,.0f} s; give more, or leave it out."
        )
    if seconds_of_half(time, size) <= spent:
        raise ConfigError(
            f"--time {time} is for the whole run, which has taken {spent * size.num_halves:,.0f} s "
            "already; give more, or leave it out."
        )


def steps_in_time(base: Saved, time: str, size: RunSize) -> tuple[Budget | None, int]:
    """Return the budget for a time, and the steps that it allows at the average speed so far.

    The budget is None if the number of steps must be fixed now.
    """
    step, spent = base.progress.step, base.progress.seconds
    seconds = seconds_of_half(time, size)
    most = math.ceil(rules.max_epochs(size.facts) * size.steps_per_epoch)
    budget = Budget(seconds, most)
    if level_share(base.training) is not None:
        return budget, fitting_steps(base.training, step, spent, budget)
    # `min` comes first because the estimate may be infinite.
    return None, int(min(most, step + max(0.0, seconds - spent) * step / spent))


def check_longer(saved: Saved, length: Length, steps: int) -> None:
    """Check that `steps` makes a run longer.

    Raises:
        ConfigError: it does not.
    """
    least = saved.training.steps
    if saved.progress.budget is not None and length.time is not None:  # see `check_time`
        least = saved.progress.step
    if steps > least:
        return
    (asked,) = (f"--{name}" for name in LENGTHS if getattr(length, name) is not None)
    value = f"{getattr(length, asked[2:])}"
    epochs = " (more passes over a text of this size overfit)" if length.time is not None else ""
    raise ConfigError(
        f"{asked} {value} makes {steps:,} steps{epochs}, and the run has {least:,}; give a greater "
        f"length for the whole run, or leave {asked} out."
    )


def earlier_weights(saved: Saved, base: Saved) -> dict[str, Any]:
    """Return the `Progress` fields for the weights that are kept; empty if `base` is `saved`."""
    if base is saved:
        return {}
    if saved.progress.kept is None:  # without validation, the newest weights are kept
        newest = max(saved.progress.step, saved.progress.earlier_step)
        return {"earlier_nats": None, "earlier_step": newest}
    nats, step = saved.progress.kept
    if (nats, step) == base.progress.kept:
        return {"earlier_nats": base.progress.earlier_nats, "earlier_step": step}
    return {"earlier_nats": nats, "earlier_step": step}


def describe_exact(
    saved: Saved, base: Saved, training: TrainingConfig, budget: Budget | None
) -> str:
    """Return a note for an extension that equals a run of the new length from the start."""
    rate = "the learning rate stays level"
    share = decay_share(training)
    if training.schedule == "plateau":
        rate = "the learning rate goes by validations as before"
    elif share:
        rate += f" to step {about(int((1 - share) * training.steps), budget)}, then falls to 0"
    as_long = "as if the run had been that long from the start"
    if base.training.precision != training.precision:
        as_long += f", but in {training.precision} after {base.training.precision}"
    return (
        f"{change(saved, training, budget)}, going on from step {base.progress.step:,}, {as_long}: "
        f"{rate}."
    )


def describe_inexact(
    saved: Saved, base: Saved, training: TrainingConfig, budget: Budget | None
) -> str:
    """Return a note for an extension that differs from a run of the new length from the start."""
    step, scale = base.progress.step, base.progress.rate_scale
    last = learning_rate(base.training, max(0, step - 1)) * scale
    following = learning_rate(training, step) * scale
    rate = f"goes on at {following:.2g}"
    if f"{last:.2g}" != f"{following:.2g}":
        rate = f"{'rises' if following > last else 'falls'} from {last:.2g} to {following:.2g}"
    if learning_rate(training, training.steps - 1) < learning_rate(training, step):
        then = "then to 0" if rate.startswith("falls") else "falls to 0"
        rate += f" and {then} at step {about(training.steps, budget)}"
    return (
        f"{change(saved, training, budget)}, going on from step {step:,}: the learning rate "
        f"{rate}, so this is not what a run of that length from the start would have been."
    )


def change(saved: Saved, training: TrainingConfig, budget: Budget | None) -> str:
    """Return a clause with the old and the new number of steps."""
    return f"{saved.training.steps:,} steps become {about(training.steps, budget)}"


def about(steps: int, budget: Budget | None) -> str:
    """Return a number of steps as text, marked as an estimate if it is fitted to a budget."""
    return f"{steps:,}" if budget is None else f"about {steps:,}"
