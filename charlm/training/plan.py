"""Plan of a run: sizes and steps for a corpus, a machine and a time budget.

Settings that are given are kept; the plan determines the others by `rules`.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from charlm.errors import ConfigError
from charlm.model import ModelConfig
from charlm.training import rules
from charlm.training.budget import Budget, level_share
from charlm.training.config import TrainingConfig
from charlm.training.memory import memory_bytes, num_parameters
from charlm.training.pace import (
    MAX_VALIDATIONS,
    MeasureStep,
    fit_to_time,
    max_steps,
    num_halves,
    steps_in_time,
    steps_of_epoch,
)
from charlm.training.recipe import LENGTHS
from charlm.training.rules import Facts
from charlm.training.settle import (
    check_validations,
    plan_model,
    plan_training,
    set_dropout,
    set_steps,
)

DEFAULT_SIZE = 512  # maximum hidden size if the length is given in steps or epochs


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """Model, training settings and length of a run, with the reasons for them."""

    model: ModelConfig
    training: TrainingConfig
    num_epochs: float
    expected_seconds: float | None  # of training; None if the length was given in steps or epochs
    step_seconds: float | None  # as measured; None if the length was given in steps or epochs
    budget: Budget | None  # to which the number of steps is fitted during the run
    why: str  # reason for the length
    reasons: tuple[str, ...]  # for the other settings, one clause each

    @property
    def num_parameters(self) -> int:
        """Number of weights; tied weights count once."""
        return num_parameters(self.model)

    @property
    def memory_bytes(self) -> int:
        """Estimated bytes that training takes in addition to the program itself."""
        return memory_bytes(self.model, self.training)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values; `why` includes `reasons`, and `budget` is left out."""
        return {
            "model": asdict(self.model),
            "training": asdict(self.training),
            "num_parameters": self.num_parameters,
            "memory_bytes": self.memory_bytes,
            "num_epochs": self.num_epochs,
            "step_seconds": self.step_seconds,
            "expected_seconds": self.expected_seconds,
            "why": [self.why, *self.reasons],
        }


def make_plan(given: Mapping[str, Any], facts: Facts, measure: MeasureStep) -> Plan:
    """Return a plan with the given settings and values for all others.

    Args:
        given: settings by name; `time` ("5m"), `epochs` or `steps` sets the length.
        facts: corpus and machine.
        measure: returns the seconds per training step of a model and settings, measured for the
            given number of seconds; called only if the length is a time.

    Raises:
        ConfigError: settings contradict each other, or the time is too short for one step.
        TextError: the corpus is too short.
    """
    if sum(name in given for name in LENGTHS) > 1:
        raise ConfigError("--time, --epochs and --steps exclude each other; choose one.")
    if not 0 < given.get("epochs", 1) < math.inf:
        raise ConfigError(f"--epochs must be above 0, not {given['epochs']:g}.")
    step_seconds = seconds = budget = None
    reasons: list[str] = []
    if "steps" in given or "epochs" in given:
        model = plan_model(given, facts, min(DEFAULT_SIZE, rules.hidden_sizes(facts)[0]))
        training = plan_training(given, facts, model)
        steps = given.get("steps")
        if steps is None:
            steps = math.ceil(given["epochs"] * steps_of_epoch(facts, training))
        validations, why = MAX_VALIDATIONS, "as asked"
    else:
        model, training, pace, reasons = fit_to_time(given, facts, measure)
        steps, why = steps_in_time(given, facts, training, pace)
        validations, step_seconds = pace.validations, pace.step_seconds
        seconds = steps * step_seconds + validations * pace.valid_seconds
        seconds *= num_halves(given)
        if level_share(training) is not None:
            budget = Budget(pace.seconds, max_steps(facts, training))
    num_epochs = steps / steps_of_epoch(facts, training)
    model = set_dropout(given, facts, model, num_epochs)
    if training.averaging == "triggered":  # depends on validations: at least one per epoch
        validations = max(validations, math.ceil(num_epochs))
    training = set_steps(given, training, steps, validations)
    check_validations(training)
    return Plan(
        model=model,
        training=training,
        num_epochs=num_epochs,
        expected_seconds=seconds,
        step_seconds=step_seconds,
        budget=budget,
        why=why,
        reasons=(*reasons, *explain(given, facts, model, training, num_epochs)),
    )


def explain(
    given: Mapping[str, Any],
    facts: Facts,
    model: ModelConfig,
    training: TrainingConfig,
    num_epochs: float,
) -> list[str]:
    """Return the reasons for the settings that the plan chose."""
    reasons = []
    if num_halves(given) > 1:
        reasons.append("two such models, one for each direction: half of the time for each")
    if model.softmax == "adaptive" and not {"softmax", "softmax_cutoffs"} & set(given):
        reasons.append(f"adaptive softmax: most of {model.vocab_size:,} words are rare")
    if training.batch_size < 32 and "batch_size" not in given:
        reasons.append(
            f"{training.batch_size} streams: so short a text has no more to give at once"
        )
    if training.precision == "bfloat16" and "precision" not in given:
        reasons.append("bfloat16: this device computes in it")
    if "dropout" not in given:
        reasons.append(f"{model.dropouts}: the text is seen {num_epochs:.1f} times")
    return reasons
