"""A stack of recurrent layers, with locked dropout between them."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from charlm.cells.cell import LayerState
from charlm.cells.connections import Connection
from charlm.cells.dropout import LockedDropout
from charlm.cells.inputs import Dense, Inputs, Part, as_inputs
from charlm.cells.layer import RecurrentLayer

State = tuple[LayerState, ...]
"""State of a stack: one `LayerState` a layer."""


class RecurrentStack(nn.Module):
    """Stack of recurrent layers: the output of each, after dropout, is an input of the next."""

    def __init__(
        self,
        layers: Iterable[RecurrentLayer],
        dropout: float,
        connection: Connection | None = None,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.dropout = LockedDropout(dropout)
        self.connection = connection or Connection()

    def initial_state(self, batch_size: int) -> State:
        """Return a state of zeros for every layer."""
        return tuple(layer.initial_state(batch_size) for layer in self.recurrent_layers())

    def forward(self, x: Tensor | Part | Inputs, state: State) -> tuple[Tensor, State]:
        """Advance by a window: (batch, time, input_size) to (batch, time, output size)."""
        below, beside = x, self.connection.beside(as_inputs(x))
        outputs: list[Tensor] = []
        states: list[LayerState] = []
        for layer, layer_state in zip(self.recurrent_layers(), state, strict=True):
            output, layer_state = layer(below, layer_state)
            states.append(layer_state)
            outputs.append(self._join(output, outputs))
            hidden = self.dropout(outputs[-1])
            below = (Dense(hidden), *beside) if beside else hidden
        return self.connection.top(outputs), tuple(states)

    def output(self, state: State) -> Tensor:
        """Return the output of `forward` for the last token before a state: (batch, size)."""
        outputs: list[Tensor] = []
        for layer_state in state:
            outputs.append(self._join(layer_state[0], outputs))
        return self.connection.top(outputs)

    def _join(self, output: Tensor, below: Sequence[Tensor]) -> Tensor:
        if not below:
            return output
        return self.connection.join(len(below), output, below[-1])

    def recurrent_layers(self) -> list[RecurrentLayer]:
        """Return the layers, starting with the one above the embedding."""
        return [layer for layer in self.layers if isinstance(layer, RecurrentLayer)]


def map_state(function: Callable[[Tensor], Tensor], state: State) -> State:
    """Apply a function to every tensor of a state."""
    return tuple(tuple(function(tensor) for tensor in layer) for layer in state)


def detach_state(state: State) -> State:
    """Detach a state from the graph, so that gradients stop at the start of the window."""
    return map_state(Tensor.detach, state)


def select_state(state: State, rows: Tensor) -> State:
    """Return the state of the given rows of the batch, (any,), in this order; rows may repeat."""
    return map_state(lambda tensor: tensor.index_select(0, rows), state)


def concat_states(states: Sequence[State]) -> State:
    """Concatenate states along the batch axis."""
    layers = zip(*states, strict=True)
    return tuple(tuple(map(torch.cat, zip(*layer, strict=True))) for layer in layers)


def choose_state(first: Tensor, one: State, other: State) -> State:
    """Return the rows of `one` where `first`, a boolean (batch,), is true, else of `other`."""
    chosen = first.unsqueeze(1)
    return tuple(
        tuple(torch.where(chosen, a, b) for a, b in zip(these, those, strict=True))
        for these, those in zip(one, other, strict=True)
    )
