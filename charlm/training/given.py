"""Settings given by the user: those of a recipe, overridden by those of the command line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charlm.data import UserPath, user_paths
from charlm.errors import ConfigError
from charlm.training.config import BELONGS_TO
from charlm.training.recipe import read_recipe

GIVES_WAY: dict[str, tuple[str, ...]] = {  # flag: settings of a recipe that it makes invalid
    "clip_value": ("clip_norm",),
    "clip_norm": ("clip_value",),
    "split": ("valid", "test"),
    "valid": ("split",),
    "test": ("split",),
    "level": ("vocab_size", "pretokenized", "lowercase", "frame", "softmax", "softmax_cutoffs"),
    "vocab_size": ("softmax_cutoffs",),
    "hidden_size": ("embedding_size", "tie_embeddings", "learning_rate"),
    "embedding_size": ("tie_embeddings",),
    "embedding": ("embedding_size", "tie_embeddings", "embeddings", "freeze_embeddings"),
    "embeddings": ("embedding", "embedding_size", "tie_embeddings"),
    "connect": ("tie_embeddings",),
    "cell": ("leak", "mogrifier_steps", "state_reset", "stop_by", "softmax", "softmax_cutoffs"),
    "last_hidden_size": ("embedding_size", "tie_embeddings"),
    "label": ("independent_frames",),
    "stop_by": ("softmax", "softmax_cutoffs"),
    "softmax": ("softmax_cutoffs",),
    "softmax_cutoffs": ("softmax",),
    "optimizer": ("learning_rate", "clip_norm", "clip_value"),
    **{
        choice: tuple(name for name, (other, _) in BELONGS_TO.items() if other == choice)
        for choice in ("schedule", "averaging")
    },
}


def read_given(recipe: Path | None, flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a recipe, if any, overridden by those of the command line.

    Names of texts on the command line become `UserPath`s; a recipe can name local files only.

    Raises:
        ConfigError: the recipe cannot be read, or no corpus is named.
    """
    given = read_recipe(recipe) if recipe else {}
    if any(name in flags for name in ("time", "epochs", "steps")):
        # The flag replaces the recipe's length, for which these settings were chosen.
        for name in ("time", "epochs", "steps", "warmup_steps", "valid_every"):
            given.pop(name, None)
    for chosen, others in GIVES_WAY.items():
        if chosen in flags and flags[chosen] != given.get(chosen):
            for name in others:
                given.pop(name, None)
    if flags.get("num_layers") == 1:  # these settings require several layers
        given.pop("last_hidden_size", None)
        given.pop("hidden_dropout", None)
        given.pop("connect", None)
    given |= mark_names(flags)
    if not given.get("paths"):
        raise ConfigError("name a text to train on, as in `charlm train corpus.txt`.")
    return given


def mark_names(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags with the names of texts and embeddings marked as `UserPath`s."""
    marked = dict(flags)
    for name in ("paths", "valid", "test"):
        if name in marked:
            marked[name] = user_paths(marked[name])
    if "embeddings" in marked:
        marked["embeddings"] = UserPath(marked["embeddings"])
    return marked
