"""Checkpoints: folders without pickle, in which each file is written completely or not at all."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from charlm.checkpoint.metrics import (
    History,
    Report,
    append_metrics,
    forget_metrics_after,
    has_reports,
    read_history,
    read_metrics,
    scan_history,
)

if TYPE_CHECKING:
    from charlm.checkpoint.adaptation import (
        read_adaptations,
        read_gradients,
        save_adaptation,
        save_gradients,
    )
    from charlm.checkpoint.card import model_card, save_card
    from charlm.checkpoint.config_file import CheckpointConfig, Heldout, HeldoutPart, read_config
    from charlm.checkpoint.folder import (
        Checkpoint,
        create_checkpoint,
        existing_folder,
        load_checkpoint,
        load_state,
        load_tokenizer_of,
        load_weights,
        model_weights,
        save_recipe,
        save_state,
        save_weights,
    )
    from charlm.checkpoint.frequencies import read_frequencies, save_frequencies
    from charlm.checkpoint.heldout import describe_heldout, heldout_bytes, kept_corpus
    from charlm.checkpoint.leftovers import (
        refuse_linked_folders,
        remove_checkpoint,
        remove_leftovers,
    )
    from charlm.checkpoint.tensor_checks import check_tensor, check_tensors

__all__ = [
    "Checkpoint",
    "CheckpointConfig",
    "Heldout",
    "HeldoutPart",
    "History",
    "Report",
    "append_metrics",
    "check_tensor",
    "check_tensors",
    "create_checkpoint",
    "describe_heldout",
    "existing_folder",
    "forget_metrics_after",
    "has_reports",
    "heldout_bytes",
    "kept_corpus",
    "load_checkpoint",
    "load_state",
    "load_tokenizer_of",
    "load_weights",
    "model_card",
    "model_weights",
    "read_adaptations",
    "read_config",
    "read_frequencies",
    "read_gradients",
    "read_history",
    "read_metrics",
    "refuse_linked_folders",
    "remove_checkpoint",
    "remove_leftovers",
    "save_adaptation",
    "save_card",
    "save_frequencies",
    "save_gradients",
    "save_recipe",
    "save_state",
    "save_weights",
    "scan_history",
]

NEED_TORCH = (
    "adaptation",
    "card",
    "config_file",
    "folder",
    "frequencies",
    "heldout",
    "leftovers",
    "tensor_checks",
    "weights",
)


def __getattr__(name: str) -> Any:
    """Import names that need torch on first use, so that plotting metrics starts quickly."""
    if name in __all__:
        for part in NEED_TORCH:
            module = import_module(f"{__name__}.{part}")
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
