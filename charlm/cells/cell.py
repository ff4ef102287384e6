"""What a recurrent cell is: one step from a state to the next."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from charlm.cells.inputs import Inputs, as_inputs, product

LayerState = tuple[Tensor, ...]
"""State of one layer, each tensor (batch, hidden_size): (hidden,), or (hidden, cell) of an LSTM."""


class RecurrentCell(nn.Module, ABC):
    """One step of a recurrent layer, `forward(x, state) -> (output, state)`, readable.

    What inputs add to the gates does not wait for the state, so a step comes in two parts:
    `project`, which a whole window can have at once, and `step`.

    The weights have the names, shapes and gate order of torch's fused layers, of which the cells
    that have one are the proof: `weight_ih` (gates * hidden_size, input_size), `weight_hh`
    (gates * hidden_size, recurrent_size), `bias_ih` and `bias_hh` (gates * hidden_size,). What
    feeds back is the hidden vector, unless a cell says otherwise.
    """

    num_gates: ClassVar[int] = 1
    num_states: ClassVar[int] = 1

    def __init__(
        self, input_size: int, hidden_size: int, recurrent_size: int | None = None
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        rows = self.num_gates * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, recurrent_size or hidden_size))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))
        for parameter in self.parameters():
            self.draw(parameter)

    def draw(self, parameter: nn.Parameter) -> None:
        """Begin it at random, as torch.nn does in its layers."""
        bound = 1 / math.sqrt(self.hidden_size)
        nn.init.uniform_(parameter, -bound, bound)

    def initial_state(self, batch_size: int) -> LayerState:
        """Zeros."""
        zeros = self.weight_ih.new_zeros(batch_size, self.hidden_size)
        return (zeros,) * self.num_states

    def forward(self, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Advance by one token: x is (batch, input_size), the output (batch, hidden_size)."""
        return self.step(self.project(as_inputs(x)), state, self.weight_hh)

    def project(self, x: Inputs) -> Tensor:
        """What inputs (..., input_size) add to the gates: (..., gates * hidden_size)."""
        return product(x, self.weight_ih) + self.bias_ih

    @abstractmethod
    def step(
        self, inputs: Tensor, state: LayerState, weight_hh: Tensor
    ) -> tuple[Tensor, LayerState]:
        """Advance by one token.

        Args:
            inputs: what `project` gave for it, (batch, gates * hidden_size).
            state: before it.
            weight_hh: the recurrent weights, or what dropout leaves of them.
        """
