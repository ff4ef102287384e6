"""Conditioning on labels: initial states and extra inputs.

Goodfellow et al. 2016, sec. 10.2.4: a network conditioned on a vector y takes it

    as its initial state,            s_0 = S y
    as an extra input at each step,  x_t = [e_t, y]
    or both.

Here y is the one-hot code of a label, or the weights of several labels, which sum to 1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from charlm.cells import State


class Labels(nn.Module):
    """Initial states of labels, if labels set the initial state."""

    def __init__(
        self, num_labels: int, state_sizes: Sequence[Sequence[int]], *, begins: bool
    ) -> None:
        """Initialize the initial states to zeros.

        Args:
            num_labels: number of labels.
            state_sizes: for each layer, the sizes of the tensors of its state.
            begins: whether labels set the initial state.
        """
        super().__init__()
        self._state_sizes = [tuple(sizes) for sizes in state_sizes]
        self.initial: nn.Parameter | None = None  # (num_labels, size of all states)
        if begins:
            size = sum(map(sum, self._state_sizes))
            self.initial = nn.Parameter(torch.zeros(num_labels, size))

    def begin(self, zeros: State, code: Tensor) -> State:
        """Return the state before any token.

        Args:
            zeros: initial state without labels, returned if labels do not set it.
            code: weight of each label, (batch, num_labels).
        """
        state = zeros
        if self.initial is not None:
            sizes = [size for layer in self._state_sizes for size in layer]
            begun = (code @ self.initial).to(self.initial.dtype)  # autocast may have changed it
            parts = iter(begun.split(sizes, dim=1))
            state = tuple(tuple(next(parts) for _ in layer) for layer in self._state_sizes)
        return state
