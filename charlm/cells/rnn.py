"""Elman networks (Elman 1990) with three activation functions."""

from abc import abstractmethod

from torch import Tensor
from torch.nn.functional import linear

from charlm.cells.cell import LayerState, RecurrentCell


class ElmanCell(RecurrentCell):
    """Elman cell: h' = activation(W x + b + U h + c)."""

    def step(
        self, inputs: Tensor, state: LayerState, weight_hh: Tensor
    ) -> tuple[Tensor, LayerState]:
        (hidden,) = state
        hidden = self.activation(inputs + linear(hidden, weight_hh, self.bias_hh))
        return hidden, (hidden,)

    @abstractmethod
    def activation(self, x: Tensor) -> Tensor:
        """Return the output of each unit, given its weighted sum."""


class TanhCell(ElmanCell):
    """Elman cell with tanh units: h' = tanh(W x + b + U h + c)."""

    def activation(self, x: Tensor) -> Tensor:
        return x.tanh()


class ReluCell(ElmanCell):
    """Elman cell with rectified units: h' = max(0, W x + b + U h + c).

    Le et al. 2015, arXiv:1504.00941.
    """

    def activation(self, x: Tensor) -> Tensor:
        return x.relu()


class SigmoidCell(ElmanCell):
    """Elman cell with sigmoid units: h' = sigmoid(W x + b + U h + c).

    The cell of RNNLM (Mikolov et al. 2010).
    """

    def activation(self, x: Tensor) -> Tensor:
        return x.sigmoid()
