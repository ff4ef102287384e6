"""How the layers of a stack are connected besides one above the other."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from charlm.cells.inputs import Inputs

ConnectionName = Literal["plain", "residual", "highway", "skip"]
CARRY_BIAS = -1.0  # a highway begins by carrying more than it transforms: Srivastava et al. 2015


class Connection(nn.Module):
    """Plain: each layer sees the output of the one below, and the topmost is what is seen of all.

    Layers are numbered from 0. The first one's input is no layer's output and is never added to
    anything: it may be of another width, or a one-hot code.
    """

    def join(self, number: int, output: Tensor, below: Tensor) -> Tensor:
        """The output of a layer above the first, with that of the layer below."""
        return output

    def beside(self, inputs: Inputs) -> Inputs:
        """What stands beside the output below in the input of a layer above the first."""
        return ()

    def top(self, outputs: Sequence[Tensor]) -> Tensor:
        """What is seen of all layers."""
        return outputs[-1]


class Residual(Connection):
    """y_l = h_l + y_{l-1} (He et al. 2016, arXiv:1512.03385)."""

    def join(self, number: int, output: Tensor, below: Tensor) -> Tensor:
        return output + below


class Highway(Connection):
    """y_l = t * h_l + (1 - t) * y_{l-1}, t = sigmoid(W_l y_{l-1} + b_l).

    Srivastava et al. 2015, arXiv:1505.00387, eq. 3, the carry gate 1 - t.
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
    """The input reaches every layer, and every layer the output (Graves 2013, arXiv:1308.0850).

    A layer above the first sees [y_{l-1}; x], and what is seen of all is [y_1; ...; y_L]: sec. 2,
    fig. 1.
    """

    def beside(self, inputs: Inputs) -> Inputs:
        return inputs

    def top(self, outputs: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(outputs), dim=-1)


def make_connection(name: ConnectionName, hidden_size: int, num_layers: int) -> Connection:
    """The connection of that name between layers of one width."""
    match name:
        case "plain":
            return Connection()
        case "residual":
            return Residual()
        case "highway":
            return Highway(hidden_size, num_layers)
        case "skip":
            return Skip()
