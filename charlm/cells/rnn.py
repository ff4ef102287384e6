"""The Elman network (Elman 1990)."""

from torch import Tensor
from torch.nn.functional import linear

from charlm.cells.cell import LayerState, RecurrentCell


class TanhCell(RecurrentCell):
    """h' = tanh(W x + b + U h + c)."""

    def forward(self, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        (hidden,) = state
        hidden = pre_activation(self, x, hidden).tanh()
        return hidden, (hidden,)


class ReluCell(RecurrentCell):
    """h' = max(0, W x + b + U h + c) (Le et al. 2015, arXiv:1504.00941)."""

    def forward(self, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        (hidden,) = state
        hidden = pre_activation(self, x, hidden).relu()
        return hidden, (hidden,)


def pre_activation(cell: RecurrentCell, x: Tensor, hidden: Tensor) -> Tensor:
    """W x + b + U h + c, (batch, hidden_size)."""
    return linear(x, cell.weight_ih, cell.bias_ih) + linear(hidden, cell.weight_hh, cell.bias_hh)
