"""Recurrent cells, one readable step each, and the fused layers and stacks built of them."""

from charlm.cells.cell import LayerState, RecurrentCell
from charlm.cells.dropout import LockedDropout, locked_dropout
from charlm.cells.gru import GRUCell
from charlm.cells.layer import CELLS, CellName, RecurrentLayer
from charlm.cells.lstm import LSTMCell
from charlm.cells.rnn import ReluCell, TanhCell
from charlm.cells.stack import (
    RecurrentStack,
    State,
    concat_states,
    detach_state,
    map_state,
    reset_state,
    select_state,
)

__all__ = [
    "CELLS",
    "CellName",
    "GRUCell",
    "LSTMCell",
    "LayerState",
    "LockedDropout",
    "RecurrentCell",
    "RecurrentLayer",
    "RecurrentStack",
    "ReluCell",
    "State",
    "TanhCell",
    "concat_states",
    "detach_state",
    "locked_dropout",
    "map_state",
    "reset_state",
    "select_state",
]
