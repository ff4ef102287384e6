"""Time budget of a run: the widest model that gets enough steps, and its number of steps."""

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from charlm.errors import ConfigError
from charlm.model import ModelConfig
from charlm.training import rules
from charlm.training.config import TrainingConfig
from charlm.training.memory import memory_bytes
from charlm.training.rules import Facts
from charlm.training.settle import plan_model, plan_training, set_dropout

DEFAULT_TIME = "5m"
MAX_VALIDATIONS = 15
VALID_SHARE = 1 / 3  # cost of a validation token in training tokens: no backward pass
FREE_SHARE = 0.8  # of the free memory, for training
MARGIN = 0.97  # of the budget is planned; the rest is for loading and slower steps at the end
MEASURE_SHARE = 0.02  # of the budget, to measure one width

MeasureStep = Callable[[ModelConfig, TrainingConfig, float], float]


UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
}
NUMBER = r"\d+(?:\.\d+)?"


def parse_time(text: str) -> float:
    """Return the seconds of a duration: `90s`, `5m`, `5min`, `1.5h`, `1h30m` or `90 s`.

    A number without a unit is minutes.

    Raises:
        ConfigError: the text is not a duration above 0.
    """
    if is_bare_number(text):
        text = f"{text.strip()}m"
    parts = re.findall(rf"\s*({NUMBER})\s*([a-z]+)", text.lower())
    known = all(unit in UNITS for _, unit in parts)
    whole = re.fullmatch(rf"(?:\s*{NUMBER}\s*[a-z]+)+\s*", text.lower(), re.ASCII)
    seconds = sum(float(number) * UNITS[unit] for number, unit in parts) if known else 0
    if not whole or not 0 < seconds < math.inf:
        raise ConfigError(
            f"--time must be a duration such as 90s, 5m or 1h30m (a bare number is minutes), not "
            f"{text!r}."
        )
    return seconds


def is_bare_number(text: str) -> bool:
    """Return whether a duration is a number without a unit, which means minutes."""
    return re.fullmatch(rf"\s*{NUMBER}\s*", text, re.ASCII) is not None


def budget_seconds(given: Mapping[str, Any]) -> float:
    """Return the seconds that a run has; each half of a run in both directions has half of them.

    Raises:
        ConfigError: `time` is not a duration above 0.
    """
    return parse_time(given.get("time", DEFAULT_TIME)) / num_halves(given)


def num_halves(given: Mapping[str, Any]) -> int:
    """Return the number of models that are trained one after the other: one per direction."""
    return 2 if given.get("direction") == "both" else 1


@dataclass(frozen=True, slots=True)
class Pace:
    """Training speed of one model on this machine, and the steps and validations that fit."""

    step_seconds: float
    spent_seconds: float  # on reading and measuring
    seconds: float  # left for training, including validations
    valid_seconds: float  # per validation
    validations: int  # at least 1; by default about a tenth of the time
    steps: int  # that fit into the rest of the time; may be 0 or less


def fit_to_time(
    given: Mapping[str, Any], facts: Facts, measure: MeasureStep
) -> tuple[ModelConfig, TrainingConfig, Pace, list[str]]:
    """Return the widest model that gets enough steps in the time, and the reasons for its width.

    A width that is given is kept. Without one, the narrowest is taken if none gets enough steps.
    """
    sizes = rules.hidden_sizes(facts)
    *wider, narrowest = sizes if "hidden_size" not in given else sizes[-1:]
    reasons: list[str] = []
    seconds = MEASURE_SHARE * budget_seconds(given)
    began = time.monotonic()
    for size in (*wider, narrowest):
        model = plan_model(given, facts, size)
        training = plan_training(given, facts, model)
        if size != narrowest and memory_bytes(model, training) > FREE_SHARE * facts.free_bytes:
            reasons.append(f"{size} units would not fit into memory")
            continue
        # Measured with the strongest dropout, because the final dropout depends on the result.
        strictest = set_dropout(given, facts, model, num_epochs=math.inf)
        step_seconds = measure(strictest, training, seconds)
        spent = facts.spent_seconds + time.monotonic() - began
        pace = find_pace(given, facts, training, step_seconds, spent)
        enough = min(rules.min_steps(facts), max_steps(facts, training))
        if pace.steps >= enough or size == narrowest:
            break
        reasons.append(f"{size} units would get {max(0, pace.steps):,} steps, not {enough:,}")
    if "hidden_size" not in given:
        why = {
            sizes[0]: "the widest tried on so much text",
            narrowest: "the narrowest tried",
        }.get(size, "the widest that gets steps enough")
        reasons.append(f"{size} units: {why}")
    return model, training, pace, reasons


def find_pace(
    given: Mapping[str, Any],
    facts: Facts,
    training: TrainingConfig,
    step_seconds: float,
    spent_seconds: float,
) -> Pace:
    """Divide the remaining time between validations and steps.

    Args:
        given: settings by name.
        facts: corpus and machine.
        training: settings of the run; `steps` and `valid_every` are ignored.
        step_seconds: as measured.
        spent_seconds: part of the time that is used up.
    """
    seconds = budget_seconds(given) * MARGIN - spent_seconds
    windows = facts.num_valid_tokens / (training.batch_size * training.bptt)
    valid_seconds = max(windows, 1) * step_seconds / training.accumulation_steps * VALID_SHARE
    if training.averaging != "none":
        valid_seconds *= 2  # trained and averaged weights are both evaluated
    if "valid_every" in given:
        steps = int(seconds / (step_seconds + valid_seconds / max(1, given["valid_every"])))
        validations = max(1, steps // max(1, given["valid_every"]))
    else:
        validations = max(1, min(MAX_VALIDATIONS, int(0.1 * seconds / valid_seconds)))
        steps = int((seconds - validations * valid_seconds) / step_seconds)
    return Pace(step_seconds, spent_seconds, seconds, valid_seconds, validations, steps)


def steps_in_time(
    given: Mapping[str, Any], facts: Facts, training: TrainingConfig, pace: Pace
) -> tuple[int, str]:
    """Return the number of steps that the time allows, at most `max_steps`, and the reason.

    Raises:
        ConfigError: the time is too short for one step.
    """
    budget = given.get("time", DEFAULT_TIME)
    if pace.steps < 1:
        raise ConfigError(
            f"--time {budget} is too short: here a step takes {pace.step_seconds:.2g} s, a "
            f"validation {pace.valid_seconds:.2g} s, and reading and measuring took "
            f"{pace.spent_seconds:.2g} s; give more time or a smaller --hidden-size."
        )
    most = max_steps(facts, training)
    if pace.steps > most:
        return most, f"{rules.max_epochs(facts)} epochs are as often as this text is worth reading"
    return pace.steps, f"what {budget} allows at {1000 * pace.step_seconds:.3g} ms a step"


def max_steps(facts: Facts, training: TrainingConfig) -> int:
    """Return the maximum number of steps; more would overfit on a corpus of this size."""
    return math.ceil(rules.max_epochs(facts) * steps_of_epoch(facts, training))


def steps_of_epoch(facts: Facts, training: TrainingConfig) -> float:
    """Return the number of optimizer steps per pass over the text."""
    return facts.num_windows(training) / training.accumulation_steps
