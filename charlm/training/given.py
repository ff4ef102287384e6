"""What a user has set: a recipe's settings, with those of the command line over them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from charlm.data import UserPath, user_paths
from charlm.errors import ConfigError
from charlm.training.config import BELONGS_TO
from charlm.training.recipe import read_recipe

GIVES_WAY: dict[str, tuple[str, ...]] = {  # of a recipe, what a flag makes pointless or wrong
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
    """Settings of a recipe, if there is one, with those of the command line over them.

    Names of texts from the command line become `UserPath`s; a recipe can name local files only.

    Raises:
        ConfigError: the recipe cannot be read, or nothing names a corpus.
    """
    given = read_recipe(recipe) if recipe else {}
    if any(name in flags for name in ("time", "epochs", "steps")):
        # The recipe's length goes, and what was chosen for that length.
        for name in ("time", "epochs", "steps", "warmup_steps", "valid_every"):
            given.pop(name, None)
    for chosen, others in GIVES_WAY.items():
        if chosen in flags and flags[chosen] != given.get(chosen):
            for name in others:
                given.pop(name, None)
    if flags.get("num_layers") == 1:  # what only several layers have
        given.pop("last_hidden_size", None)
        given.pop("hidden_dropout", None)
        given.pop("connect", None)
    given |= mark_names(flags)
    if not given.get("paths"):
        raise ConfigError("name a text to train on, as in `charlm train corpus.txt`.")
    return given


def mark_names(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Mark the names of texts among the flags as the user's own."""
    marked = dict(flags)
    for name in ("paths", "valid", "test"):
        if name in marked:
            marked[name] = user_paths(marked[name])
    if "embeddings" in marked:
        marked["embeddings"] = UserPath(marked["embeddings"])
    return marked
