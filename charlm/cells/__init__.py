"""Recurrent cells, and the layers and stacks built from them."""

from charlm.cells.catalogue import CELLS, CellName, make_cell
from charlm.cells.cell import LayerState, RecurrentCell
from charlm.cells.connections import ConnectionName, make_connection
from charlm.cells.dropout import (
    Dropout,
    EmbeddingDropout,
    LockedDropout,
    WeightDropout,
    embedding_dropout,
    locked_dropout,
    weight_dropout,
)
from charlm.cells.inputs import Dense, Held, Inputs, Lookup, OneHot, Part, as_inputs
from charlm.cells.jordan import JordanCell
from charlm.cells.layer import RecurrentLayer
from charlm.cells.probe import trains_in_bfloat16
from charlm.cells.stack import (
    RecurrentStack,
    State,
    choose_state,
    concat_states,
    detach_state,
    map_state,
    select_state,
)
from charlm.cells.transition import Transition

__all__ = [
    "CELLS",
    "CellName",
    "ConnectionName",
    "Dense",
    "Dropout",
    "EmbeddingDropout",
    "Held",
    "Inputs",
    "JordanCell",
    "LayerState",
    "LockedDropout",
    "Lookup",
    "OneHot",
    "Part",
    "RecurrentCell",
    "RecurrentLayer",
    "RecurrentStack",
    "State",
    "Transition",
    "WeightDropout",
    "as_inputs",
    "choose_state",
    "concat_states",
    "detach_state",
    "embedding_dropout",
    "locked_dropout",
    "make_cell",
    "make_connection",
    "map_state",
    "select_state",
    "trains_in_bfloat16",
    "weight_dropout",
]
