"""Leaky units: Elman networks whose units change slowly."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from charlm.cells.cell import LayerState, RecurrentCell

LONGEST = 50.0  # steps; the largest initial time constant of a learned leak


class LeakyCell(RecurrentCell):
    """Leaky cell: h' = (1 - a) h + a tanh(W x + b + U h + c), with one leak a in (0, 1].

    The memory of a unit halves in about log(2) / a steps (Mozer 1992; Jaeger et al. 2007, eq. 2;
    Goodfellow et al. 2016, sec. 10.9.2). With a = 1 it is the Elman network.
    """

    def __init__(self, input_size: int, hidden_size: int, leak: float) -> None:
        super().__init__(input_size, hidden_size)
        self.fixed_leak = leak

    @property
    def leak(self) -> float | Tensor:
        """Fraction a of each unit that is replaced at each step."""
        return self.fixed_leak

    def step(
        self, inputs: Tensor, state: LayerState, weight_hh: Tensor
    ) -> tuple[Tensor, LayerState]:
        (hidden,) = state
        new = (inputs + linear(hidden, weight_hh, self.bias_hh)).tanh()
        hidden = hidden + self.leak * (new - hidden)
        return hidden, (hidden,)


class LearnedLeakCell(LeakyCell):
    """Leaky cell with a learned leak a = sigmoid(l) for each unit.

    The initial time constants 1 / a are evenly spaced in their logarithm, from 1.2 to 50 steps.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, leak=1.0)
        longest = torch.tensor(LONGEST).log()
        constants = torch.linspace(0.05, 1, hidden_size).mul(longest).exp()
        self.leak_logit = nn.Parameter(-(constants - 1).log())

    @property
    def leak(self) -> Tensor:
        return self.leak_logit.sigmoid()
