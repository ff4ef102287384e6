"""Deep transitions: more than one layer of computation from one state to the next."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class Transition(nn.Module):
    """Layers applied to a hidden vector before the cell's next step.

        z_0 = h;   z_k = tanh(T_k z_{k-1} + t_k),  k = 1 .. depth - 1;   h + z_{depth - 1}

    A multilayer perceptron with a shortcut connection, which keeps the path from state to state
    short: DT(S)-RNN (Pascanu et al. 2014, arXiv:1312.6026, sec. 3.2; Goodfellow et al. 2016,
    fig. 10.13 c). The cell's own step is the last of `depth` layers. `weight`,
    (depth - 1, hidden_size, hidden_size), holds T, and `bias`, (depth - 1, hidden_size), holds t.
    """

    def __init__(self, hidden_size: int, depth: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(hidden_size)
        self.weight = nn.Parameter(torch.empty(depth - 1, hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(depth - 1, hidden_size))
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the transformed hidden vectors, (batch, hidden_size)."""
        between = hidden
        for weight, bias in zip(self.weight, self.bias, strict=True):
            between = linear(between, weight, bias).tanh()
        return hidden + between
