"""A trained network as a predictor with fixed weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from charlm.data import NOT_PREDICTED
from charlm.evaluation.predictor import Predictions, Predictor, PredictorState
from charlm.model import LanguageModel, State, select_state


class HiddenReader(Predictor, Protocol):
    """A predictor that also returns its hidden vectors."""

    def read(
        self, inputs: Tensor, targets: Tensor, state: PredictorState
    ) -> tuple[Tensor, Tensor, PredictorState]:
        """Read a window; inputs and targets are (batch, time).

        Returns: hidden vectors (batch, time, hidden_size), logits (batch, time, vocab_size) and
        the state after the window.
        """
        ...


class NetworkPredictor:
    """A network in evaluation mode: without dropout and without gradients."""

    stride: int = 1
    max_rows: int | None = None

    def __init__(self, model: LanguageModel) -> None:
        self.model = model

    def initial_state(self, batch_size: int) -> State:
        return self.model.initial_state(batch_size)

    def read(self, inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Read a window as `HiddenReader.read` does; the targets are ignored."""
        hidden, state = self._body(inputs, state)
        return hidden, self._head(hidden), state

    def advance(self, inputs: Tensor, state: State) -> State:
        """Return the state after a window, without predicting; inputs are (batch, time)."""
        _, state = self._body(inputs, state)
        return state

    def predict(self, inputs: Tensor, targets: Tensor, state: State) -> tuple[Predictions, State]:
        hidden, state = self._body(inputs, state)
        return Predictions(
            log_probs=-self._nats(hidden, targets),
            distribution=lambda: self._head(hidden).log_softmax(-1),
        ), state

    def _body(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        with torch.no_grad(), evaluating(self.model):
            hidden, state = self.model.body(inputs, state)
            return hidden, state

    def _head(self, hidden: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.model.head(hidden)
            return logits

    def _nats(self, hidden: Tensor, targets: Tensor) -> Tensor:
        with torch.no_grad():
            return self.model.head.nats(hidden, targets)

    def select_rows(self, state: State, rows: NDArray[np.int64]) -> State:
        return select_state(state, torch.from_numpy(rows).to(self.model.device))


def from_logits(logits: Tensor, targets: Tensor) -> Predictions:
    """Return the softmax predictions of logits, (batch, time, vocab_size)."""
    nats = cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=NOT_PREDICTED, reduction="none"
    )
    return Predictions(
        log_probs=-nats.view(targets.shape), distribution=lambda: logits.log_softmax(-1)
    )


@contextmanager
def evaluating(model: LanguageModel) -> Iterator[None]:
    """Put the model in evaluation mode inside the block and restore its mode afterwards."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
