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
    """Reads rows of tokens with an n-gram model."""

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
        """Of the targets of each row's last places."""
        time = targets.shape[1]
        # Not the inputs again: a row that ends here has padding where its last target belongs.
        followers = np.where(targets == NOT_PREDICTED, self._model.start_id, targets)
        before = rows[:, : rows.shape[1] - time + 1]
        text = self._one_text(np.concatenate([before, followers], axis=1))
        return self._model.log_probs(text).reshape(len(rows), -1)[:, -time:]

    def _distributions(self, rows: History, time: int) -> NDArray[np.float64]:
        """Of what follows each row's last places."""
        found = self._model.distributions(self._one_text(rows))
        return found.reshape(len(rows), -1, self._model.vocab_size)[:, -time:]

    def _one_text(self, rows: History) -> History:
        """All rows one after the other, a `<start>` before each.

        A row has all the history that matters, or its own `<start>`, so none reaches back to it.
        """
        starts = np.full((len(rows), 1), self._model.start_id)
        return np.concatenate([starts, rows], axis=1).reshape(-1)


def as_tensor(values: NDArray[np.float64], device: torch.device) -> Tensor:
    """In double precision, where the device has it."""
    tensor = torch.from_numpy(values)
    return tensor.float().to(device) if device.type == "mps" else tensor.to(device)
