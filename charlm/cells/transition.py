"""A deep transition: more than one layer of computation from a state to the next."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class Transition(nn.Module):
    """What a hidden vector goes through before a cell's next step sees it.

        z_0 = h;   z_k = tanh(T_k z_{k-1} + t_k),  k = 1 .. depth - 1;   h + z_{depth - 1}

    A perceptron with a way past it, which keeps the way from state to state short: DT(S)-RNN
    (Pascanu et al. 2014, arXiv:1312.6026, sec. 3.2; Goodfellow et al. 2016, fig. 10.13 c). The
    cell's own step is the last of `depth` layers. `weight` (depth - 1, hidden_size, hidden_size)
    holds T, `bias` t.
    """

    def __init__(self, hidden_size: int, depth: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(hidden_size)
        self.weight = nn.Parameter(torch.empty(depth - 1, hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.empty(depth - 1, hidden_size))
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, hidden: Tensor) -> Tensor:
        """(batch, hidden_size) to the same."""
        between = hidden
        for weight, bias in zip(self.weight, self.bias, strict=True):
            between = linear(between, weight, bias).tanh()
        return hidden + between
