"""Labels: conditioning a model on one label or a weighted blend of labels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from charlm.checkpoint import Checkpoint
from charlm.errors import ConfigError

MAX_SHOWN = 20  # labels listed in an error message


def under_labels(checkpoint: Checkpoint, weights: Mapping[str, float]) -> Checkpoint:
    """Return a checkpoint whose model begins every text under a label or a blend of labels.

    Args:
        checkpoint: a model trained with labels.
        weights: weight of each label, above 0 and finite; normalized to a sum of 1.

    Raises:
        ConfigError: the model was trained without labels or does not know a label, or a weight is
            out of range.
    """
    known = checkpoint.config.labels
    if not known:
        raise ConfigError(
            f"{checkpoint.folder} was trained without labels; leave out the label, or train with "
            "--label both."
        )
    for name, weight in weights.items():
        if name not in known:
            raise ConfigError(f"{checkpoint.folder} knows no label {name!r}; {listed(known)}.")
        if not 0 < weight < float("inf"):
            raise ConfigError(f"the weight of label {name!r} must be above 0, not {weight:g}.")
    blend = blend_of(known, weights).to(checkpoint.model.device)
    return replace(checkpoint, model=checkpoint.model.under(blend))


def blend_of(labels: Sequence[str], weights: Mapping[str, float]) -> Tensor:
    """Return the share of each label as a model expects it: (labels,), float32, summing to 1."""
    blend = torch.tensor([weights.get(name, 0.0) for name in labels], dtype=torch.float64)
    return (blend / blend.sum()).float()


def single_label(checkpoint: Checkpoint) -> str | None:
    """Return the label that the model of a checkpoint is conditioned on; None if there is none.

    Raises:
        ConfigError: it is a blend of several labels, which no text of the corpus has.
    """
    blend = checkpoint.model.blend
    if blend is None:
        return None
    names = [n for n, share in zip(checkpoint.config.labels, blend.tolist(), strict=True) if share]
    if len(names) > 1:
        raise ConfigError("no part of the corpus has a blend of labels; name a text, or one label.")
    return names[0]


def check_label(checkpoint: Checkpoint) -> None:
    """Check that a label is chosen if the model was trained with labels.

    Raises:
        ConfigError: no label is chosen.
    """
    if checkpoint.config.labels and checkpoint.model.blend is None:
        raise ConfigError(
            f"{checkpoint.folder} writes and reads under a label; add --label NAME: "
            f"{listed(checkpoint.config.labels)}."
        )


def listed(names: Sequence[str]) -> str:
    """Return a clause that lists the labels, for error messages."""
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return f"there are {', '.join(names[:MAX_SHOWN])}{more}"
