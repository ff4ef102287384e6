"""Interface of everything that predicts a text: networks, n-grams, caches and mixtures."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

WINDOW = 512  # maximum tokens of a row to read at a time; does not affect the result
MAX_ROWS = 1024  # maximum number of rows to read together

PredictorState = Any
"""Whatever a predictor remembers of the rows it reads; only the predictor itself looks into it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """Log probabilities in nats of each token of a window, (batch, time), given those before it."""

    log_probs: Tensor  # (batch, time): log P of the targets; undefined at NOT_PREDICTED
    distribution: Callable[[], Tensor]  # (batch, time, vocab_size), log P; computed when called


class Predictor(Protocol):
    """A model that reads rows of tokens in windows and predicts each token from those before it.

    The prediction of a token does not depend on that token, on later tokens or on other rows.
    Windows may be cut at any multiple of `stride` tokens from the start of the row; the result is
    the same. A state that was passed in must not be used again.
    """

    stride: int
    max_rows: int | None  # None: any number

    def initial_state(self, batch_size: int) -> PredictorState:
        """Return the state before the first token of each row."""
        ...

    def predict(
        self, inputs: Tensor, targets: Tensor, state: PredictorState
    ) -> tuple[Predictions, PredictorState]:
        """Predict the targets of a window and return the state after it.

        Inputs and targets are (batch, time), as in `charlm.data.Window`.
        """
        ...

    def select_rows(self, state: PredictorState, rows: NDArray[np.int64]) -> PredictorState:
        """Return the state of the given rows, (num_rows,), in this order; rows may repeat."""
        ...
