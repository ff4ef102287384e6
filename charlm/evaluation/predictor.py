"""What predicts a text: a network, n-grams, and what adapts or mixes them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

WINDOW = 512  # tokens of a row that are read at a time, at most; the result does not depend on it
MAX_ROWS = 1024  # that are read together

PredictorState = Any
"""Whatever a predictor remembers of the rows it reads; only the predictor itself looks into it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """How probable the tokens of a window, (batch, time), were before each was seen."""

    log_probs: Tensor  # (batch, time): of the targets; of no meaning where none is predicted
    distribution: Callable[[], Tensor]  # (batch, time, vocab_size), log P; computed when called


class Predictor(Protocol):
    """Reads rows of tokens window by window and predicts each token from those before it.

    What is said of a token never depends on that token or on what follows it, nor on the other
    rows. A window may be cut anywhere that is a multiple of `stride` tokens from the row's
    beginning; where makes no difference. The state that goes in is used up.
    """

    stride: int
    max_rows: int | None  # None: any number

    def initial_state(self, batch_size: int) -> PredictorState:
        """The state before any token."""
        ...

    def predict(
        self, inputs: Tensor, targets: Tensor, state: PredictorState
    ) -> tuple[Predictions, PredictorState]:
        """Take a window, inputs and targets (batch, time), as `charlm.data.Window` has them."""
        ...

    def select_rows(self, state: PredictorState, rows: NDArray[np.int64]) -> PredictorState:
        """The state of some rows, in this order, which go on alone; as often as they are named."""
        ...
