"""The Mogrifier LSTM."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from charlm.cells.cell import LayerState
from charlm.cells.inputs import Inputs, dense
from charlm.cells.lstm import LSTMCell


class MogrifierCell(LSTMCell):
    """LSTM whose input and previous output gate each other before each step.

        x' = 2 sigmoid(Q h) * x     in rounds 1, 3, ...
        h' = 2 sigmoid(R x) * h     in rounds 2, 4, ...

    (Melis et al. 2020, arXiv:1909.01792, sec. 2, eqs. 1 and 2). Each round has its own matrix:
    `mogrifier` holds Q, R, Q, ... in this order, Q (input_size, hidden_size) and R (hidden_size,
    input_size). Without rounds it is the LSTM.
    """

    def __init__(self, input_size: int, hidden_size: int, num_rounds: int) -> None:
        super().__init__(input_size, hidden_size)
        shapes = [(input_size, hidden_size), (hidden_size, input_size)]
        self.mogrifier = nn.ParameterList(
            nn.Parameter(torch.empty(shapes[i % 2])) for i in range(num_rounds)
        )
        for matrix in self.mogrifier:
            self.draw(matrix)

    def project(self, x: Inputs) -> Tensor:
        """Return the inputs unchanged: what they add to the gates depends on the state."""
        return dense(x).to(self.weight_ih.dtype)

    def step(
        self, inputs: Tensor, state: LayerState, weight_hh: Tensor
    ) -> tuple[Tensor, LayerState]:
        x, (hidden, cell) = inputs, state
        for i, matrix in enumerate(self.mogrifier):
            if i % 2 == 0:
                x = 2 * linear(hidden, matrix).sigmoid() * x
            else:
                hidden = 2 * linear(x, matrix).sigmoid() * hidden
        gates = linear(x, self.weight_ih, self.bias_ih)
        return super().step(gates, (hidden, cell), weight_hh)
