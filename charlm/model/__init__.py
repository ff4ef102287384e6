"""Language models over token ids: a body (ids to hidden vectors) and a head (to probabilities)."""

from charlm.cells import (
    CellName,
    State,
    concat_states,
    detach_state,
    map_state,
    select_state,
)
from charlm.model.clusters import default_cutoffs
from charlm.model.config import DROPOUTS, NUM_SPECIALS, ModelConfig, StopName
from charlm.model.counting import PartCount, count_parameters
from charlm.model.language_model import (
    ChunkModel,
    HiddenStepModel,
    LanguageModel,
    StepModel,
)
from charlm.model.length import LengthHead
from charlm.model.packed import can_pack
from charlm.model.stepping import fastest_steps

__all__ = [
    "DROPOUTS",
    "NUM_SPECIALS",
    "CellName",
    "ChunkModel",
    "HiddenStepModel",
    "LanguageModel",
    "LengthHead",
    "ModelConfig",
    "PartCount",
    "State",
    "StepModel",
    "StopName",
    "can_pack",
    "concat_states",
    "count_parameters",
    "default_cutoffs",
    "detach_state",
    "fastest_steps",
    "map_state",
    "select_state",
]
