"""A window for truncated backpropagation through time (Williams & Peng 1990)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOT_PREDICTED = -100  # a target that torch's losses pass over


@dataclass(frozen=True, slots=True)
class Window:
    """One step's worth of tokens. `targets[:, t]` is the token after `inputs[:, t]`.

    `<start>` and padding are never predicted: their target is `NOT_PREDICTED`.
    """

    inputs: NDArray[np.int64]  # (batch_size, time), time <= bptt
    targets: NDArray[np.int64]  # (batch_size, time)
    fresh: NDArray[np.bool_]  # (batch_size,): rows whose state starts anew before this window
    labels: NDArray[np.int64] | None = None  # (batch_size,): under which each row stands, if any
