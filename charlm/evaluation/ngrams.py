"""An n-gram model as a predictor."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charlm.data import NOT_PREDICTED
from charlm.evaluation.predictor import Predictions
from charlm.ngram import NgramModel

History = NDArray[np.int64]
"""The tokens read last, (batch, at most order - 1)."""


class NgramPredictor:
    """Predictor that reads rows of tokens with an n-gram model."""

    stride: int = 1
    max_rows: int | None = None

    def __init__(self, model: NgramModel) -> None:
        self._model = model

    def initial_state(self, batch_size: int) -> History:
        return np.zeros((batch_size, 0), dtype=np.int64)

    def predict(
        self, inputs: Tensor, targets: Tensor, state: History
    ) -> tuple[Predictions, History]:
        read = inputs.cpu().numpy()
        rows = np.concatenate([state, read], axis=1)
        followers = targets.cpu().numpy()
        log_probs = self._log_probs(rows, followers)
        predictions = Predictions(
            log_probs=as_tensor(log_probs, inputs.device),
            distribution=lambda: as_tensor(self._distributions(rows, read.shape[1]), inputs.device),
        )
        kept = self._model.order - 1
        return predictions, rows[:, max(0, rows.shape[1] - kept) :]

    def select_rows(self, state: History, rows: NDArray[np.int64]) -> History:
        return state[rows]

    def _log_probs(self, rows: History, targets: History) -> NDArray[np.float64]:
        """Return log P of the targets, which follow each row's last positions: (batch, time)."""
        time = targets.shape[1]
        # The targets, not the next inputs: in a row that ends here, padding follows the last input.
        followers = np.where(targets == NOT_PREDICTED, self._model.start_id, targets)
        before = rows[:, : rows.shape[1] - time + 1]
        text = self._one_text(np.concatenate([before, followers], axis=1))
        return self._model.log_probs(text).reshape(len(rows), -1)[:, -time:]

    def _distributions(self, rows: History, time: int) -> NDArray[np.float64]:
        """Return log P after each row's last `time` positions: (batch, time, vocab_size)."""
        found = self._model.distributions(self._one_text(rows))
        return found.reshape(len(rows), -1, self._model.vocab_size)[:, -time:]

    def _one_text(self, rows: History) -> History:
        """Concatenate all rows, with a `<start>` before each, into one text.

        A row already contains either order - 1 tokens of history or its own `<start>`, so the
        `<start>` added here is never part of a relevant context.
        """
        starts = np.full((len(rows), 1), self._model.start_id)
        return np.concatenate([starts, rows], axis=1).reshape(-1)


def as_tensor(values: NDArray[np.float64], device: torch.device) -> Tensor:
    """Return a tensor on the device, in double precision unless the device is MPS."""
    tensor = torch.from_numpy(values)
    return tensor.float().to(device) if device.type == "mps" else tensor.to(device)
