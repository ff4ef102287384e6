"""Connections between the layers of a stack: plain, residual, highway or skip."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from charlm.cells.inputs import Inputs

ConnectionName = Literal["plain", "residual", "highway", "skip"]
CARRY_BIAS = -1.0  # at first a highway carries more than it transforms: Srivastava et al. 2015


class Connection(nn.Module):
    """Plain connections: each layer's input is the output of the layer below.

    The output of the stack is that of the last layer. Layers are numbered from 0. The input of the
    first layer is never added to an output: it may have another width or be a one-hot code.
    """

    def join(self, number: int, output: Tensor, below: Tensor) -> Tensor:
        """Combine the output of layer `number`, 1 or above, with that of the layer below."""
        return output

    def beside(self, inputs: Inputs) -> Inputs:
        """Return the extra inputs of each layer above the first, given those of the stack."""
        return ()

    def top(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return the output of the stack, given the outputs of all layers."""
        return outputs[-1]


class Residual(Connection):
    """Residual connections: y_l = h_l + y_{l-1} (He et al. 2016, arXiv:1512.03385)."""

    def join(self, number: int, output: Tensor, below: Tensor) -> Tensor:
        return output + below


class Highway(Connection):
    """Highway connections: y_l = t * h_l + (1 - t) * y_{l-1}, t = sigmoid(W_l y_{l-1} + b_l).

    Srivastava et al. 2015, arXiv:1505.00387, eq. 3, with the carry gate 1 - t.
    """

    def __init__(self, hidden_size: int, num_layers: int) -> None:
        super().__init__()
        gates = [nn.Linear(hidden_size, hidden_size) for _ in range(num_layers - 1)]
        for gate in gates:
            nn.init.constant_(gate.bias, CARRY_BIAS)
        self.gates = nn.ModuleList(gates)

    def join(self, number: int, output: Tensor, below: Tensor) -> Tensor:
        transform = self.gates[number - 1](below).sigmoid()
        joined: Tensor = below + transform * (output - below)
        return joined


class Skip(Connection):
    """Skip connections from the input to every layer and from every layer to the output.

    The input of a layer above the first is [y_{l-1}; x], and the output of the stack is
    [y_1; ...; y_L] (Graves 2013, arXiv:1308.0850, sec. 2, fig. 1).
    """

    def beside(self, inputs: Inputs) -> Inputs:
        return inputs

    def top(self, outputs: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(outputs), dim=-1)


def make_connection(name: ConnectionName, hidden_size: int, num_layers: int) -> Connection:
    """Return the connection of the given name for layers of `hidden_size` units."""
    match name:
        case "plain":
            return Connection()
        case "residual":
            return Residual()
        case "highway":
            return Highway(hidden_size, num_layers)
        case "skip":
            return Skip()
