"""The gated recurrent unit."""

from torch import Tensor
from torch.nn.functional import linear

from charlm.cells.cell import LayerState, RecurrentCell


class GRUCell(RecurrentCell):
    """GRU with the reset gate after the product, as cuDNN has it (Cho et al. 2014).

        r, z = sigmoid(W x + b + U h + c)       reset and update gates
        n    = tanh(W x + b + r * (U h + c))    candidate
        h'   = (1 - z) * n + z * h

    Gates are stacked r, z, n as in `torch.nn.GRU`.
    """

    num_gates = 3

    def forward(self, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        (hidden,) = state
        from_x = linear(x, self.weight_ih, self.bias_ih).chunk(3, dim=-1)
        from_h = linear(hidden, self.weight_hh, self.bias_hh).chunk(3, dim=-1)
        r = (from_x[0] + from_h[0]).sigmoid()
        z = (from_x[1] + from_h[1]).sigmoid()
        n = (from_x[2] + r * from_h[2]).tanh()
        hidden = (1 - z) * n + z * hidden
        return hidden, (hidden,)
