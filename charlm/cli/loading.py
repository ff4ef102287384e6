"""A model by the names that a command was given: a checkpoint's, and labels'."""

from pathlib import Path
from typing import TYPE_CHECKING

from charlm.errors import ConfigError

if TYPE_CHECKING:
    from charlm.api import LoadedModel
    from charlm.device import DeviceName


def load_model(
    checkpoint: Path | None, device: "DeviceName", label: list[str] | None
) -> "LoadedModel":
    """The checkpoint's model, under a label if one is named.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged.
        ConfigError: the model knows no such label, or a weight is malformed.
    """
    from charlm.api import load

    lm = load(checkpoint, device)
    return lm.with_label(parse_labels(label)) if label else lm


def parse_labels(texts: list[str]) -> dict[str, float]:
    """NAME or NAME=WEIGHT each, by name; a single name needs no weight.

    Raises:
        ConfigError: a weight is no number or missing, or a label comes twice.
    """
    weights: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.partition("=")
        try:
            weight = float(number) if equals else 1.0
        except ValueError:
            raise ConfigError(f"the weight in {text!r} must be a number.") from None
        if not equals and len(texts) > 1:
            raise ConfigError("several labels need weights, as in --label a=0.7 --label b=0.3.")
        if name in weights:
            raise ConfigError(f"--label names {name!r} twice; name it once.")
        weights[name] = weight
    return weights
