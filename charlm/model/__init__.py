"""Language models over token ids: a body (ids to hidden vectors) and a head (to probabilities)."""

from charlm.cells import CellName, State, detach_state, reset_state, select_state
from charlm.model.config import ModelConfig
from charlm.model.language_model import LanguageModel, StepModel

__all__ = [
    "CellName",
    "LanguageModel",
    "ModelConfig",
    "State",
    "StepModel",
    "detach_state",
    "reset_state",
    "select_state",
]
