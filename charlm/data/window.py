"""Windows for truncated backpropagation through time (Williams & Peng 1990)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOT_PREDICTED = -100  # target that torch's losses ignore


@dataclass(frozen=True, slots=True)
class Window:
    """Inputs and targets of one step: `targets[:, t]` is the token after `inputs[:, t]`.

    `<start>` and padding are never predicted; the target there is `NOT_PREDICTED`.
    """

    inputs: NDArray[np.int64]  # (batch_size, time); time <= bptt, + 10 if it is variable
    targets: NDArray[np.int64]  # (batch_size, time)
    fresh: NDArray[np.bool_]  # (batch_size,): rows whose state is reset before this window
    labels: NDArray[np.int64] | None = None  # (batch_size,): label of each row, if any
