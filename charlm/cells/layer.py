"""A recurrent layer: a cell unrolled over time by torch's fused kernels."""

from typing import Literal

import torch
from torch import Tensor, nn

from charlm.cells.cell import LayerState, RecurrentCell
from charlm.cells.gru import GRUCell
from charlm.cells.lstm import LSTMCell
from charlm.cells.rnn import ReluCell, TanhCell

CellName = Literal["rnn", "rnn-relu", "lstm", "gru"]

CELLS: dict[CellName, type[RecurrentCell]] = {
    "rnn": TanhCell,
    "rnn-relu": ReluCell,
    "lstm": LSTMCell,
    "gru": GRUCell,
}


class RecurrentLayer(nn.Module):
    """One layer of `cell`, run over a window at once (cuDNN on GPU, oneDNN on CPU).

    It equals stepping the readable cell, which `step_cell` gives, through the window.
    """

    def __init__(self, cell: CellName, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.cell: CellName = cell
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_states = CELLS[cell].num_states
        match cell:
            case "rnn":
                self.fused: nn.RNNBase = nn.RNN(input_size, hidden_size, batch_first=True)
            case "rnn-relu":
                self.fused = nn.RNN(input_size, hidden_size, nonlinearity="relu", batch_first=True)
            case "gru":
                self.fused = nn.GRU(input_size, hidden_size, batch_first=True)
            case "lstm":
                self.fused = nn.LSTM(input_size, hidden_size, batch_first=True)
                start_forget_bias_at_one(self.fused)

    def initial_state(self, batch_size: int) -> LayerState:
        """Zeros, each (batch_size, hidden_size)."""
        weight = self.fused.weight_hh_l0
        assert isinstance(weight, Tensor)
        return (weight.new_zeros(batch_size, self.hidden_size),) * self.num_states

    def forward(self, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Advance by a window: x is (batch, time, input_size), the output (batch, time, hidden)."""
        if x.is_cuda and torch.is_autocast_enabled("cuda"):
            # Whatever type is asked for, autocast hands cuDNN's recurrent kernels float16, which
            # underflows without loss scaling; they run in float32 (TF32) instead.
            with torch.autocast("cuda", enabled=False):
                return self._run(x.float(), tuple(s.float() for s in state))
        return self._run(x, state)

    def _run(self, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        fused_state = tuple(s.unsqueeze(0) for s in state)  # torch has a leading axis for layers
        output, last = self.fused(x, fused_state if self.num_states > 1 else fused_state[0])
        last = last if isinstance(last, tuple) else (last,)
        return output, tuple(s.squeeze(0) for s in last)

    def step_cell(self) -> RecurrentCell:
        """The readable cell with this layer's weights (shared, not copied)."""
        with torch.device("meta"):
            cell = CELLS[self.cell](self.input_size, self.hidden_size)
        for name, _ in list(cell.named_parameters()):
            setattr(cell, name, getattr(self.fused, f"{name}_l0"))
        return cell


@torch.no_grad()
def start_forget_bias_at_one(lstm: nn.RNNBase) -> None:
    """Remember by default (Jozefowicz et al. 2015). torch adds two biases; one carries it."""
    forget = slice(lstm.hidden_size, 2 * lstm.hidden_size)
    for bias, value in ((lstm.bias_ih_l0, 1.0), (lstm.bias_hh_l0, 0.0)):
        assert isinstance(bias, Tensor)
        bias[forget] = value
