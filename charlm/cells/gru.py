"""Gated recurrent units, with the reset gate after or before the product."""

from torch import Tensor
from torch.nn.functional import linear

from charlm.cells.cell import LayerState, RecurrentCell


class GRUCell(RecurrentCell):
    """GRU with the reset gate after the product, as in cuDNN (Cho et al. 2014).

        r, z = sigmoid(W x + b + U h + c)       reset and update gates
        n    = tanh(W x + b + r * (U h + c))    candidate
        h'   = (1 - z) * n + z * h

    Gates are stacked r, z, n as in `torch.nn.GRU`.
    """

    num_gates = 3

    def step(
        self, inputs: Tensor, state: LayerState, weight_hh: Tensor
    ) -> tuple[Tensor, LayerState]:
        (hidden,) = state
        from_x = inputs.chunk(3, dim=-1)
        from_h = linear(hidden, weight_hh, self.bias_hh).chunk(3, dim=-1)
        r = (from_x[0] + from_h[0]).sigmoid()
        z = (from_x[1] + from_h[1]).sigmoid()
        n = (from_x[2] + r * from_h[2]).tanh()
        hidden = (1 - z) * n + z * hidden
        return hidden, (hidden,)


class ResetFirstGRUCell(RecurrentCell):
    """GRU with the reset gate before the product, the original form (Cho et al. 2014, eqs. 5-8).

        r, z = sigmoid(W x + b + U h + c)       reset and update gates
        n    = tanh(W x + b + U (r * h) + c)    candidate
        h'   = (1 - z) * n + z * h

    Gates are stacked r, z, n.
    """

    num_gates = 3

    def step(
        self, inputs: Tensor, state: LayerState, weight_hh: Tensor
    ) -> tuple[Tensor, LayerState]:
        (hidden,) = state
        gates, candidate = 2 * self.hidden_size, self.hidden_size
        of_gates, of_candidate = weight_hh.split([gates, candidate])
        bias_of_gates, bias_of_candidate = self.bias_hh.split([gates, candidate])
        from_x = inputs.split([gates, candidate], dim=-1)
        r, z = (from_x[0] + linear(hidden, of_gates, bias_of_gates)).sigmoid().chunk(2, dim=-1)
        n = (from_x[1] + linear(r * hidden, of_candidate, bias_of_candidate)).tanh()
        hidden = n + z * (hidden - n)
        return hidden, (hidden,)
