"""What a recurrent cell is: one step from a state to the next."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

LayerState = tuple[Tensor, ...]
"""State of one layer, each tensor (batch, hidden_size): (hidden,), or (hidden, cell) of an LSTM."""


class RecurrentCell(nn.Module, ABC):
    """One step of a recurrent layer, `forward(x, state) -> (output, state)`, readable.

    The weights have the names, shapes, gate order and equations of torch's fused layers, of which
    each cell is the proof: `weight_ih` (gates * hidden_size, input_size), `weight_hh`
    (gates * hidden_size, hidden_size), `bias_ih` and `bias_hh` (gates * hidden_size,).
    """

    num_gates: ClassVar[int] = 1
    num_states: ClassVar[int] = 1

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        rows = self.num_gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))
        bound = 1 / math.sqrt(hidden_size)  # as torch.nn initialises its layers
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def initial_state(self, batch_size: int) -> LayerState:
        """Zeros."""
        zeros = self.weight_hh.new_zeros(batch_size, self.hidden_size)
        return (zeros,) * self.num_states

    @abstractmethod
    def forward(self, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Advance by one token: x is (batch, input_size), the output (batch, hidden_size)."""
