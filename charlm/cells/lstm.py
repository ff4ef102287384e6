"""Long short-term memory cells."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from charlm.cells.cell import LayerState, RecurrentCell


class LSTMCell(RecurrentCell):
    """LSTM with a forget gate (Hochreiter & Schmidhuber 1997; Gers et al. 2000).

        i, f, o = sigmoid(W x + b + U h + c)    input, forget and output gates
        g       = tanh(W x + b + U h + c)       candidate
        c'      = f * c + i * g
        h'      = o * tanh(c')

    Gates are stacked i, f, g, o as in `torch.nn.LSTM`. The state is (hidden, cell). The forget bias
    starts at 1, so that the cell remembers by default (Jozefowicz et al. 2015).
    """

    num_gates = 4
    num_states = 2

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        remember(self, 1)

    def step(
        self, inputs: Tensor, state: LayerState, weight_hh: Tensor
    ) -> tuple[Tensor, LayerState]:
        hidden, cell = state
        gates = inputs + linear(hidden, weight_hh, self.bias_hh)
        i, f, g, o = gates.chunk(4, dim=-1)  # each (batch, hidden_size)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        return hidden, (hidden, cell)


def remember(cell: RecurrentCell, gate: int) -> None:
    """Initialize the forget gate, number `gate` of those stacked, with a bias of 1."""
    forget = slice(gate * cell.hidden_size, (gate + 1) * cell.hidden_size)
    with torch.no_grad():  # the sum of the two biases is 1
        cell.bias_ih[forget] = 1.0
        cell.bias_hh[forget] = 0.0


class FirstLSTMCell(RecurrentCell):
    """LSTM without a forget gate, the original form (Hochreiter & Schmidhuber 1997).

        i, o = sigmoid(W x + b + U h + c)       input and output gates
        g    = tanh(W x + b + U h + c)          candidate
        c'   = c + i * g
        h'   = o * tanh(c')

    Gates are stacked i, g, o. The paper squashes g to (-2, 2) and c' to (-1, 1) with logistic
    sigmoids; this cell uses tanh for both, as became usual.
    """

    num_gates = 3
    num_states = 2

    def step(
        self, inputs: Tensor, state: LayerState, weight_hh: Tensor
    ) -> tuple[Tensor, LayerState]:
        hidden, cell = state
        gates = inputs + linear(hidden, weight_hh, self.bias_hh)
        i, g, o = gates.chunk(3, dim=-1)
        cell = cell + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        return hidden, (hidden, cell)


class CoupledLSTMCell(RecurrentCell):
    """LSTM with coupled input and forget gates (Greff et al. 2017, arXiv:1503.04069, CIFG).

        f, o = sigmoid(W x + b + U h + c)       forget and output gates
        g    = tanh(W x + b + U h + c)          candidate
        c'   = f * c + (1 - f) * g
        h'   = o * tanh(c')

    Gates are stacked f, g, o. The forget bias starts at 1.
    """

    num_gates = 3
    num_states = 2

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        remember(self, 0)

    def step(
        self, inputs: Tensor, state: LayerState, weight_hh: Tensor
    ) -> tuple[Tensor, LayerState]:
        hidden, cell = state
        gates = inputs + linear(hidden, weight_hh, self.bias_hh)
        f, g, o = gates.chunk(3, dim=-1)
        new = g.tanh()
        cell = new + f.sigmoid() * (cell - new)
        hidden = o.sigmoid() * cell.tanh()
        return hidden, (hidden, cell)


class PeepholeLSTMCell(LSTMCell):
    """LSTM whose gates see the cell (Graves 2013, arXiv:1308.0850, eqs. 7-11).

        i, f = sigmoid(W x + b + U h + c + p * c)     input and forget gates see the old cell
        g    = tanh(W x + b + U h + c)                candidate
        c'   = f * c + i * g
        o    = sigmoid(W x + b + U h + c + p * c')    the output gate sees the new cell
        h'   = o * tanh(c')

    Gates are stacked i, f, g, o. `weight_ch`, (3, hidden_size), holds p of i, f and o: the gates
    of a unit see only the unit's own cell.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.weight_ch = nn.Parameter(self.weight_hh.new_empty(3, hidden_size))
        self.draw(self.weight_ch)

    def step(
        self, inputs: Tensor, state: LayerState, weight_hh: Tensor
    ) -> tuple[Tensor, LayerState]:
        hidden, cell = state
        gates = inputs + linear(hidden, weight_hh, self.bias_hh)
        i, f, g, o = gates.chunk(4, dim=-1)
        see_i, see_f, see_o = self.weight_ch
        f, i = (f + see_f * cell).sigmoid(), (i + see_i * cell).sigmoid()
        cell = f * cell + i * g.tanh()
        hidden = (o + see_o * cell).sigmoid() * cell.tanh()
        return hidden, (hidden, cell)
