"""Long short-term memory."""

from torch import Tensor
from torch.nn.functional import linear

from charlm.cells.cell import LayerState, RecurrentCell


class LSTMCell(RecurrentCell):
    """LSTM with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

        i, f, o = sigmoid(W x + b + U h + c)    input, forget and output gates
        g       = tanh(W x + b + U h + c)       candidate
        c'      = f * c + i * g
        h'      = o * tanh(c')

    Gates are stacked i, f, g, o as in `torch.nn.LSTM`. The state is (hidden, cell).
    """

    num_gates = 4
    num_states = 2

    def forward(self, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        hidden, cell = state
        gates = linear(x, self.weight_ih, self.bias_ih)
        gates = gates + linear(hidden, self.weight_hh, self.bias_hh)
        i, f, g, o = gates.chunk(4, dim=-1)  # each (batch, hidden_size)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        return hidden, (hidden, cell)
