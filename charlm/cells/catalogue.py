"""Catalogue of recurrent cells by name."""

from typing import Literal

from charlm.cells.cell import RecurrentCell
from charlm.cells.gru import GRUCell, ResetFirstGRUCell
from charlm.cells.jordan import ElmanJordanCell, JordanCell
from charlm.cells.leaky import LeakyCell, LearnedLeakCell
from charlm.cells.lstm import CoupledLSTMCell, FirstLSTMCell, LSTMCell, PeepholeLSTMCell
from charlm.cells.mogrifier import MogrifierCell
from charlm.cells.rnn import ReluCell, SigmoidCell, TanhCell

CellName = Literal[
    "rnn",
    "rnn-relu",
    "rnn-sigmoid",
    "jordan",
    "elman-jordan",
    "leaky",
    "leaky-learned",
    "lstm",
    "lstm-1997",
    "lstm-coupled",
    "lstm-peephole",
    "gru",
    "gru-2014",
]

CELLS: dict[CellName, type[RecurrentCell]] = {
    "rnn": TanhCell,
    "rnn-relu": ReluCell,
    "rnn-sigmoid": SigmoidCell,
    "jordan": JordanCell,
    "elman-jordan": ElmanJordanCell,
    "leaky": LeakyCell,
    "leaky-learned": LearnedLeakCell,
    "lstm": LSTMCell,
    "lstm-1997": FirstLSTMCell,
    "lstm-coupled": CoupledLSTMCell,
    "lstm-peephole": PeepholeLSTMCell,
    "gru": GRUCell,
    "gru-2014": ResetFirstGRUCell,
}


def make_cell(
    name: CellName,
    input_size: int,
    hidden_size: int,
    *,
    vocab_size: int | None = None,
    leak: float | None = None,
    mogrifier_steps: int = 0,
) -> RecurrentCell:
    """Return a new cell of the given name.

    With `mogrifier_steps` above 0 it is a Mogrifier LSTM, regardless of the name; `ModelConfig`
    allows that for "lstm" only.

    Args:
        name: a key of `CELLS`.
        input_size: number of input features.
        hidden_size: number of units.
        vocab_size: size of the output that feeds back; required for Jordan cells.
        leak: fixed leak in (0, 1]; required for "leaky".
        mogrifier_steps: rounds of mutual gating before each LSTM step.
    """
    kind = CELLS[name]
    if mogrifier_steps > 0:
        return MogrifierCell(input_size, hidden_size, mogrifier_steps)
    if issubclass(kind, JordanCell):
        assert vocab_size is not None
        return kind(input_size, hidden_size, vocab_size)
    if kind is LeakyCell:
        assert leak is not None
        return LeakyCell(input_size, hidden_size, leak)
    return kind(input_size, hidden_size)
