"""What a label tells a network: where it begins, and what it sees at every step.

Goodfellow et al. 2016, sec. 10.2.4: a network conditioned on a vector y takes it

    as its initial state,            s_0 = S y
    as an extra input at each step,  x_t = [e_t, y]
    or both.

Here y is the one-hot code of a label, or a blend of several, weights that sum to 1.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from charlm.cells import State


class Labels(nn.Module):
    """The initial states of labels, if they have any."""

    def __init__(
        self, num_labels: int, state_sizes: Sequence[Sequence[int]], *, begins: bool
    ) -> None:
        """Say how many labels there are, and the sizes of what makes up each layer's state."""
        super().__init__()
        self._state_sizes = [tuple(sizes) for sizes in state_sizes]
        self.initial: nn.Parameter | None = None  # of all layers, side by side
        if begins:
            size = sum(map(sum, self._state_sizes))
            self.initial = nn.Parameter(torch.zeros(num_labels, size))

    def begin(self, zeros: State, code: Tensor) -> State:
        """The state before any token, given that of no label, and codes (batch, num_labels)."""
        state = zeros
        if self.initial is not None:
            sizes = [size for layer in self._state_sizes for size in layer]
            begun = (code @ self.initial).to(self.initial.dtype)  # whatever autocast makes of it
            parts = iter(begun.split(sizes, dim=1))
            state = tuple(tuple(next(parts) for _ in layer) for layer in self._state_sizes)
        return state
