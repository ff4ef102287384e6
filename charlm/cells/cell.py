"""Base class of recurrent cells."""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from charlm.cells.inputs import Inputs, as_inputs, product

LayerState = tuple[Tensor, ...]
"""State of one layer, each tensor (batch, hidden_size): (hidden,), or (hidden, cell) of an LSTM."""


class RecurrentCell(nn.Module, ABC):
    """One step of a recurrent layer: `forward(x, state) -> (output, state)`.

    A step has two parts. `project` computes what the inputs add to the gates; it does not need the
    state, so it can process a whole window at once. `step` computes the rest.

    The weights have the names, shapes and gate order of torch's fused layers, so that a cell can be
    compared with the fused layer of its kind: `weight_ih` (gates * hidden_size, input_size),
    `weight_hh` (gates * hidden_size, recurrent_size), `bias_ih` and `bias_hh`
    (gates * hidden_size,). The hidden vector feeds back, unless a cell says otherwise.
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
        """Initialize a parameter as torch.nn does: uniformly within 1 / sqrt(hidden_size) of 0."""
        bound = 1 / math.sqrt(self.hidden_size)
        nn.init.uniform_(parameter, -bound, bound)

    def initial_state(self, batch_size: int) -> LayerState:
        """Return a state of zeros, each tensor (batch_size, hidden_size)."""
        zeros = self.weight_ih.new_zeros(batch_size, self.hidden_size)
        return (zeros,) * self.num_states

    def forward(self, x: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Advance by one token: x is (batch, input_size), the output (batch, hidden_size)."""
        return self.step(self.project(as_inputs(x)), state, self.weight_hh)

    def project(self, x: Inputs) -> Tensor:
        """Return what inputs (..., input_size) add to the gates: (..., gates * hidden_size)."""
        return product(x, self.weight_ih) + self.bias_ih

    @abstractmethod
    def step(
        self, inputs: Tensor, state: LayerState, weight_hh: Tensor
    ) -> tuple[Tensor, LayerState]:
        """Advance by one token.

        Args:
            inputs: the result of `project` for the token, (batch, gates * hidden_size).
            state: state before the token.
            weight_hh: recurrent weights, after weight dropout.

        Returns:
            The output, (batch, hidden_size), and the state after the token.
        """
