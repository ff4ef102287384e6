"""A checkpoint is a folder, without pickle, each file written whole or not at all."""

from charlm.checkpoint.adaptation import (
    read_adaptations,
    read_gradients,
    save_adaptation,
    save_gradients,
)
from charlm.checkpoint.card import model_card, save_card
from charlm.checkpoint.config_file import CheckpointConfig, read_config
from charlm.checkpoint.folder import (
    Checkpoint,
    create_checkpoint,
    existing_folder,
    load_checkpoint,
    load_state,
    load_tokenizer_of,
    load_weights,
    model_weights,
    remove_leftovers,
    save_state,
    save_weights,
)
from charlm.checkpoint.metrics import append_metrics, forget_metrics_after, read_metrics

__all__ = [
    "Checkpoint",
    "CheckpointConfig",
    "append_metrics",
    "create_checkpoint",
    "existing_folder",
    "forget_metrics_after",
    "load_checkpoint",
    "load_state",
    "load_tokenizer_of",
    "load_weights",
    "model_card",
    "model_weights",
    "read_adaptations",
    "read_config",
    "read_gradients",
    "read_metrics",
    "remove_leftovers",
    "save_adaptation",
    "save_card",
    "save_gradients",
    "save_state",
    "save_weights",
]
