"""Loading of models from the checkpoint and label options of a command."""

from pathlib import Path
from typing import TYPE_CHECKING

from charlm.errors import ConfigError

if TYPE_CHECKING:
    from charlm.api import LoadedModel
    from charlm.device import DeviceName


def load_model(
    checkpoint: Path | None, device: "DeviceName", label: list[str] | None
) -> "LoadedModel":
    """Load a checkpoint's model, conditioned on the given label or weighted labels.

    Raises:
        CheckpointError: there is no such checkpoint, or it is damaged.
        ConfigError: the model has no such label, or a weight is malformed.
    """
    from charlm.api import load

    lm = load(checkpoint, device)
    return lm.with_label(parse_labels(label)) if label else lm


def parse_labels(texts: list[str]) -> dict[str, float]:
    """Parse labels of the form NAME or NAME=WEIGHT into weights by name.

    A single label without a weight has weight 1.

    Raises:
        ConfigError: a weight is missing or not a number, or a label is given twice.
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
