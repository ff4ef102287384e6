"""Values for settings that are not given: shape, training and dropout, by `rules`."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from charlm.errors import ConfigError, TextError
from charlm.model import DROPOUTS, ModelConfig
from charlm.settings import pick
from charlm.training import rules
from charlm.training.averaging import TRIGGER_INTERVAL
from charlm.training.config import TrainingConfig
from charlm.training.rules import Facts


def plan_model(given: Mapping[str, Any], facts: Facts, size: int) -> ModelConfig:
    """Return the shape of a model, with layers of `size` units if no width is given.

    Raises:
        ConfigError: settings contradict each other.
    """
    defaults = {}
    if "softmax" not in given and "softmax_cutoffs" not in given:
        defaults = rules.softmax(facts, given.get("cell", "lstm"), given.get("stop_by", "symbol"))
    return model_shape({**defaults, **given}, facts.vocab_size, size)


def model_shape(given: Mapping[str, Any], vocab_size: int, size: int) -> ModelConfig:
    """Return a model configuration with the given settings; the others are derived from them.

    Args:
        given: settings by name.
        vocab_size: number of outputs.
        size: units per layer if no width is given.

    Raises:
        ConfigError: settings contradict each other, or there are too few symbols for an adaptive
            softmax.
    """
    width = given.get("hidden_size", size)
    last = given.get("last_hidden_size", width)
    seen = last  # input size of the softmax
    if given.get("connect") == "skip":
        seen += width * (given.get("num_layers", 1) - 1)
    one_hot = given.get("embedding") == "one-hot"
    embedding_size = given.get("embedding_size", vocab_size if one_hot else last)
    defaults = {
        "hidden_size": width,
        "embedding_size": embedding_size,
        "tie_embeddings": embedding_size == seen and not one_hot,
    }
    adaptive = "adaptive" if "softmax_cutoffs" in given else "full"
    if given.get("softmax", adaptive) == "adaptive":
        defaults |= rules.adaptive_softmax(vocab_size)
    return ModelConfig(**{**defaults, **pick(ModelConfig, given), "vocab_size": vocab_size})


def plan_training(given: Mapping[str, Any], facts: Facts, model: ModelConfig) -> TrainingConfig:
    """Return the training settings, except for those of the length (see `set_steps`).

    Raises:
        ConfigError: settings contradict each other.
        TextError: the training text is too short for one window.
    """
    bptt = given.get("bptt", rules.bptt(facts))
    optimizer = given.get("optimizer", "adamw")
    defaults = {
        "bptt": bptt,
        "batch_size": rules.batch_size(facts, bptt),
        "learning_rate": rules.learning_rate(facts, model, optimizer),
        "clip_norm": None if "clip_value" in given else rules.clip_norm(facts, optimizer),
        "precision": rules.precision(facts, model),
        "schedule": rules.schedule(given),
        "state_reset": rules.state_reset(model),
    }
    training = TrainingConfig(**{**defaults, **pick(TrainingConfig, given), "steps": 1})
    if training.state_reset and model.stop_by == "length":
        raise ConfigError("a length that is told must not be forgotten; leave out --state-reset.")
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
    """Return the model with the dropout probabilities for a number of epochs.

    If `dropout` is given, the model is returned unchanged: no other dropout is added to it.
    """
    if "dropout" in given:
        return model
    own = {name: given[name] for name in DROPOUTS if name in given}
    return replace(model, **{**rules.regularisation(facts, num_epochs, model.hidden_size), **own})


def set_steps(
    given: Mapping[str, Any], training: TrainingConfig, steps: int, validations: int
) -> TrainingConfig:
    """Return the training settings with the number of steps and the settings that depend on it.

    `warmup_steps` and `valid_every` are derived from `steps` and the number of `validations`, if
    they are not given.
    """
    defaults = {
        "warmup_steps": min(100, steps // 20),
        "valid_every": max(1, math.ceil(steps / validations)),
    }
    return replace(training, **{**defaults, **pick(TrainingConfig, given), "steps": steps})


def check_validations(training: TrainingConfig) -> None:
    """Check that settings that depend on validations get enough of them.

    Raises:
        ConfigError: the run has too few validations for `patience` or for averaging "triggered".
    """
    count = math.ceil(training.steps / training.valid_every)
    needed = {}
    if training.patience is not None:
        needed[f"--patience {training.patience}"] = training.patience + 1
    if training.averaging == "triggered":
        interval = training.trigger_interval or TRIGGER_INTERVAL
        needed["--averaging triggered"] = interval + 2
    for flag, least in needed.items():
        if count < least:
            raise ConfigError(
                f"{flag} has no effect: it needs {least} validations and the run has {count}; "
                "lower --valid-every, or train for longer."
            )
