"""The plan: sizes and steps for a corpus, a machine and a time budget.

The rules were measured on small corpora with 2 CPU cores; `benchmarks/README.md` has the figures.
A setting that is given is taken as it is; the plan fills in the rest.
"""

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from charlm.device import Precision
from charlm.errors import ConfigError, TextError
from charlm.model import ModelConfig
from charlm.settings import pick
from charlm.text import Level
from charlm.training.config import TrainingConfig
from charlm.training.recipe import LENGTHS

DEFAULT_TIME = "5m"
MAX_VALIDATIONS = 15
VALID_SHARE = 1 / 3  # cost of a token in validation, of that in training: no backward pass
MARGIN = 0.97  # of the budget is planned; the rest is for saving and for a slower moment
HIDDEN_SIZES = (1024, 512, 256, 128)
MIN_STEPS = 1500  # a larger model is worth its slower steps only if it gets so many
SMALL = 300_000  # tokens; below, a model soon knows the text by heart
MAX_EPOCHS, MAX_EPOCHS_SMALL, MAX_EPOCHS_SMALL_WORDS = 20, 12, 5
OFTEN_SEEN = 12  # epochs
MIN_BFLOAT16_SIZE = 128  # below, conversions eat what the faster products give

MeasureStep = Callable[[ModelConfig, TrainingConfig], float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the plan goes by."""

    level: Level
    vocab_size: int
    num_tokens: int  # of the training part
    num_valid_tokens: int
    num_windows: Callable[[TrainingConfig], int]  # of an epoch
    has_bfloat16: bool = False  # whether the device computes in it
    spent_seconds: float = 0.0  # of the budget, on reading and encoding


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What will be trained, how long, and why that long."""

    model: ModelConfig
    training: TrainingConfig
    num_epochs: float
    expected_seconds: (
        float | None
    )  # of training; None where the length was given in steps or epochs
    why: str


def parse_time(text: str) -> float:
    """Seconds of `90s`, `5m`, `1.5h` or `1h30m`.

    Raises:
        ConfigError: it is not a time above 0.
    """
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", text)
    seconds = sum(float(number) * units[unit] for number, unit in parts)
    if seconds <= 0 or "".join(number + unit for number, unit in parts) != text:
        raise ConfigError(f"--time must look like 90s, 5m or 1h30m, not {text!r}.")
    return seconds


def make_plan(given: Mapping[str, Any], facts: Facts, measure: MeasureStep) -> Plan:
    """Fill in what was not given.

    Args:
        given: settings by name; `time` ("5m"), `epochs` or `steps` set the length.
        facts: corpus and machine.
        measure: seconds that a training step takes; called only to keep to a time.

    Raises:
        ConfigError: settings contradict each other, or the time is too short for one step.
        TextError: the corpus is too short.
    """
    if sum(name in given for name in LENGTHS) > 1:
        raise ConfigError("--time, --epochs and --steps exclude each other; choose one.")
    if not 0 < given.get("epochs", 1) < math.inf:
        raise ConfigError(f"--epochs must be above 0, not {given['epochs']:g}.")
    if "steps" in given or "epochs" in given:
        model = plan_model(given, facts, 512)
        training = plan_training(given, facts, model)
        steps = given.get("steps")
        if steps is None:
            steps = math.ceil(given["epochs"] * facts.num_windows(training))
        validations, seconds, why = MAX_VALIDATIONS, None, "as asked"
    else:
        model, training, pace = fit_to_time(given, facts, measure)
        steps, why = steps_in_time(given, facts, training, pace)
        validations = pace.validations
        seconds = steps * pace.step_seconds + validations * pace.valid_seconds
    num_epochs = steps / facts.num_windows(training)
    return Plan(
        model=set_dropout(given, facts, model, num_epochs),
        training=set_steps(given, training, steps, validations),
        num_epochs=num_epochs,
        expected_seconds=seconds,
        why=why,
    )


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one model trains on this machine, and what the time holds of that."""

    step_seconds: float
    spent_seconds: float  # on reading and measuring
    valid_seconds: float  # of one validation
    validations: int  # as many as take a tenth of the time
    steps: int  # that fit into the rest; may be none


def fit_to_time(
    given: Mapping[str, Any], facts: Facts, measure: MeasureStep
) -> tuple[ModelConfig, TrainingConfig, Pace]:
    """The largest model that gets enough steps in the time."""
    sizes = [size for size in HIDDEN_SIZES if size <= largest_size(facts)]
    if {"hidden_size", "embedding_size"} & set(given):
        sizes = sizes[-1:]
    began = time.monotonic()
    for size in sizes:
        model = plan_model(given, facts, size)
        training = plan_training(given, facts, model)
        step_seconds = measure(model, training)
        spent = facts.spent_seconds + time.monotonic() - began
        pace = find_pace(given, facts, training, step_seconds, spent)
        if pace.steps >= min(MIN_STEPS, max_steps(facts, training)):
            break
    return model, training, pace


def find_pace(
    given: Mapping[str, Any],
    facts: Facts,
    training: TrainingConfig,
    step_seconds: float,
    spent_seconds: float,
) -> Pace:
    """Share what is left of the time out among validations and steps."""
    seconds = parse_time(given.get("time", DEFAULT_TIME)) * MARGIN - spent_seconds
    windows = facts.num_valid_tokens / (training.batch_size * training.bptt)
    valid_seconds = max(windows, 1) * step_seconds * VALID_SHARE
    validations = max(1, min(MAX_VALIDATIONS, int(0.1 * seconds / valid_seconds)))
    steps = int((seconds - validations * valid_seconds) / step_seconds)
    return Pace(step_seconds, spent_seconds, valid_seconds, validations, steps)


def largest_size(facts: Facts) -> int:
    """How wide a model this much text can teach."""
    if facts.num_tokens < 20_000:
        return 256
    return 512 if facts.num_tokens < 2_000_000 else 1024


def plan_model(given: Mapping[str, Any], facts: Facts, size: int) -> ModelConfig:
    """The model's shape: `size` units wide where no width is given."""
    width = given.get("hidden_size", given.get("embedding_size", size))
    defaults = {
        "hidden_size": width,
        "embedding_size": width,
        "tie_embeddings": given.get("embedding_size", width) == width,
    }
    return ModelConfig(**{**defaults, **pick(ModelConfig, given), "vocab_size": facts.vocab_size})


def plan_training(given: Mapping[str, Any], facts: Facts, model: ModelConfig) -> TrainingConfig:
    """All but the number of steps and what follows from it."""
    words = facts.level == "word"
    bptt = given.get("bptt", 35 if words else 64)
    # A small corpus is cut into fewer streams, so that an epoch still has some 100 steps.
    batch_size = max(1, min(32, facts.num_tokens // (100 * max(1, bptt))))
    bfloat16 = facts.has_bfloat16 and model.hidden_size >= MIN_BFLOAT16_SIZE
    precision: Precision = "bfloat16" if bfloat16 else "float32"
    defaults = {
        "bptt": bptt,
        "batch_size": 1 << (batch_size.bit_length() - 1),
        "learning_rate": 5e-3 if model.hidden_size <= 512 else 3e-3,
        "clip_norm": None if "clip_value" in given else 1.0,
        "precision": precision,
    }
    training = TrainingConfig(**{**defaults, **pick(TrainingConfig, given), "steps": 1})
    if facts.num_tokens <= max(training.bptt, training.batch_size):
        raise TextError(
            f"the training text has {facts.num_tokens:,} tokens, too few for a window of "
            f"{training.bptt} in {training.batch_size} streams; name a longer text, or lower "
            "--bptt and --batch-size."
        )
    return training


def set_dropout(
    given: Mapping[str, Any], facts: Facts, model: ModelConfig, num_epochs: float
) -> ModelConfig:
    """Drop more the more often the text will be seen; words are learnt by heart soonest."""
    if "dropout" in given:
        return model
    by_heart = facts.num_tokens < SMALL or num_epochs > OFTEN_SEEN or facts.level == "word"
    return replace(model, dropout=0.5 if by_heart else 0.2)


def set_steps(
    given: Mapping[str, Any], training: TrainingConfig, steps: int, validations: int
) -> TrainingConfig:
    """The same run, `steps` long, with the settings that follow from the length."""
    defaults = {
        "warmup_steps": min(100, steps // 20),
        "valid_every": max(1, math.ceil(steps / validations)),
    }
    return replace(training, **{**defaults, **pick(TrainingConfig, given), "steps": steps})


def max_steps(facts: Facts, training: TrainingConfig) -> int:
    """What a corpus of this size can teach before the model learns it by heart."""
    return max_epochs(facts) * facts.num_windows(training)


def max_epochs(facts: Facts) -> int:
    """How often a text of this size is worth being seen."""
    if facts.num_tokens >= SMALL:
        return MAX_EPOCHS
    return MAX_EPOCHS_SMALL_WORDS if facts.level == "word" else MAX_EPOCHS_SMALL


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
            f"--time {budget} is too short: a step takes {pace.step_seconds:.2g} s here, and "
            f"reading and measuring took {pace.spent_seconds:.2g} s; give more time or a smaller "
            "--hidden-size."
        )
    most = max_steps(facts, training)
    if pace.steps > most:
        return most, f"{max_epochs(facts)} epochs are all that so short a text is good for"
    return pace.steps, f"what {budget} allows at {1000 * pace.step_seconds:.3g} ms a step"
