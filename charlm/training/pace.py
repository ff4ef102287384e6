"""What a time budget holds: the widest model that gets steps enough, and how many it gets."""

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
VALID_SHARE = 1 / 3  # cost of a token in validation, of that in training: no backward pass
FREE_SHARE = 0.8  # of the memory that is free
MARGIN = 0.97  # of the budget is planned; the rest is for loading and for a slower end
MEASURE_SHARE = 0.02  # of the budget, for one width

MeasureStep = Callable[[ModelConfig, TrainingConfig, float], float]


UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
}
NUMBER = r"\d+(?:\.\d+)?"


def parse_time(text: str) -> float:
    """Seconds of `90s`, `5m`, `5min`, `1.5h`, `1h30m` or `90 s`; a bare number is minutes.

    Raises:
        ConfigError: it is not a time above 0.
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
    """Whether a time is a number alone, which is one of minutes."""
    return re.fullmatch(rf"\s*{NUMBER}\s*", text, re.ASCII) is not None


def budget_seconds(given: Mapping[str, Any]) -> float:
    """The time that a run has; each half of a run in both directions has half of it."""
    return parse_time(given.get("time", DEFAULT_TIME)) / num_halves(given)


def num_halves(given: Mapping[str, Any]) -> int:
    """How many models are trained, one after the other: one for each direction."""
    return 2 if given.get("direction") == "both" else 1


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one model trains on this machine, and what the time holds of that."""

    step_seconds: float
    spent_seconds: float  # on reading and measuring
    seconds: float  # that are left
    valid_seconds: float  # of one validation
    validations: int  # as many as take a tenth of the time
    steps: int  # that fit into the rest; may be none


def fit_to_time(
    given: Mapping[str, Any], facts: Facts, measure: MeasureStep
) -> tuple[ModelConfig, TrainingConfig, Pace, list[str]]:
    """The largest model that gets enough steps in the time, and why it is that one."""
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
        # With every dropout that may come: how much there will be follows from how fast it goes.
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
    """Share what is left of the time out among validations and steps."""
    seconds = budget_seconds(given) * MARGIN - spent_seconds
    windows = facts.num_valid_tokens / (training.batch_size * training.bptt)
    valid_seconds = max(windows, 1) * step_seconds / training.accumulation_steps * VALID_SHARE
    if training.averaging != "none":
        valid_seconds *= 2  # raw and averaged weights
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
    """How many steps the time allows, or the corpus is worth, and which of the two it was.

    Raises:
        ConfigError: not even one.
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
    """What a corpus of this size can teach before the model learns it by heart."""
    return math.ceil(rules.max_epochs(facts) * steps_of_epoch(facts, training))


def steps_of_epoch(facts: Facts, training: TrainingConfig) -> float:
    """Optimiser steps that a pass over the text takes."""
    return facts.num_windows(training) / training.accumulation_steps
