"""Dynamic evaluation (Krause et al. 2018, arXiv:1709.07432): weights adapted to the text."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from charlm.cells import Dropout
from charlm.data import NOT_PREDICTED, Windows
from charlm.errors import ConfigError
from charlm.evaluation.network import from_logits
from charlm.evaluation.predictor import Predictions
from charlm.model import LanguageModel, State, detach_state

GRADIENT_WINDOWS = 100  # training windows; enough to estimate the size of the gradients
MAX_BPTT = 100_000
EPSILON = 1.0  # in units of the mean RMS; limits the steps of rarely used weights

GradientSizes = Mapping[str, Tensor]
"""Root mean square of each weight's gradient over windows of the training text, by name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DynamicConfig:
    """Settings of dynamic evaluation."""

    learning_rate: float = 2e-4  # eta
    decay: float = 0.001  # lambda: fraction of the way back to the trained weights, per segment
    bptt: int = 20  # tokens per segment

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError(
                "the learning rate of dynamic evaluation must be above 0, not "
                f"{self.learning_rate}."
            )
        if not 0 <= self.decay <= 1:
            raise ConfigError(
                f"the decay of dynamic evaluation must be in [0, 1], not {self.decay}."
            )
        if not 1 <= self.bptt <= MAX_BPTT:
            raise ConfigError(
                f"the segments of dynamic evaluation must have 1 to {MAX_BPTT:,} tokens, not "
                f"{self.bptt}."
            )


@dataclass(frozen=True, slots=True)
class FollowingState:
    """A copy of the network, adapted to the text so far, and its recurrent state."""

    model: LanguageModel  # updated in place after each segment
    state: State


class DynamicNetwork:
    """A network that takes a gradient step on each segment of the text after predicting it.

        theta' = theta - eta grad L / (RMS + epsilon) + lambda R (theta_0 - theta)

    L is the segment's mean surprisal, theta_0 are the trained weights, RMS is the root mean square
    of each weight's gradient in training and R = min(RMS / mean RMS, 1 / lambda) (sec. 4, with the
    clipping of eq. 4). Only one row can be read at a time.
    """

    max_rows: int | None = 1

    def __init__(self, model: LanguageModel, sizes: GradientSizes, config: DynamicConfig) -> None:
        self.stride = config.bptt
        self._model = model
        names = [name for name, _ in model.named_parameters()]
        rms = [sizes[name].to(model.device) for name in names]
        mean = float(sum(r.sum() for r in rms)) / sum(r.numel() for r in rms)
        self._steps = [config.learning_rate / (r + EPSILON * mean) for r in rms]
        self._pulls = [(config.decay * r / mean).clamp(max=1.0) for r in rms]
        self._trained = [parameter.detach() for parameter in model.parameters()]

    def initial_state(self, batch_size: int) -> FollowingState:
        assert batch_size == 1
        following = learning_copy(self._model)
        return FollowingState(following, following.initial_state(1))

    def read(
        self, inputs: Tensor, targets: Tensor, state: FollowingState
    ) -> tuple[Tensor, Tensor, FollowingState]:
        """Read a window as `HiddenReader.read` does, with a gradient step after each segment.

        Raises:
            ConfigError: the loss is not finite.
        """
        model, recurrent = state.model, state.state
        hiddens, logits = [], []
        for segment, followers in zip(
            inputs.split(self.stride, dim=1), targets.split(self.stride, dim=1), strict=True
        ):
            with torch.enable_grad():
                hidden, recurrent = model.body(segment, detach_state(recurrent))
                scores = model.head(hidden)
                self._learn(model, scores, followers)
            hiddens.append(hidden.detach())
            logits.append(scores.detach())
        after = FollowingState(model, detach_state(recurrent))
        return torch.cat(hiddens, dim=1), torch.cat(logits, dim=1), after

    def predict(
        self, inputs: Tensor, targets: Tensor, state: FollowingState
    ) -> tuple[Predictions, FollowingState]:
        _, logits, state = self.read(inputs, targets, state)
        return from_logits(logits, targets), state

    def select_rows(self, state: FollowingState, rows: NDArray[np.int64]) -> FollowingState:
        assert rows.tolist() == [0]
        return state

    def _learn(self, model: LanguageModel, logits: Tensor, targets: Tensor) -> None:
        """Update the weights with one gradient step on the targets; do nothing without targets.

        Raises:
            ConfigError: the loss is not finite.
        """
        if not (targets != NOT_PREDICTED).any():
            return
        loss = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=NOT_PREDICTED)
        if not loss.isfinite():
            raise ConfigError(
                "dynamic evaluation runs away: its learning rate is too high for this model; lower "
                "--dynamic-learning-rate, or add --tune."
            )
        weights: list[Tensor] = list(model.parameters())
        gradients = gradients_of(loss, model)
        with torch.no_grad():
            torch._foreach_lerp_(weights, self._trained, self._pulls)
            torch._foreach_addcmul_(weights, gradients, self._steps, -1.0)


def learning_copy(model: LanguageModel) -> LanguageModel:
    """Return a copy of the model in training mode, with dropout off."""
    copied = copy.deepcopy(model).train()  # cuDNN computes gradients only in training mode
    for module in copied.modules():
        if isinstance(module, Dropout):
            module.eval()
    return copied


def gradients_of(loss: Tensor, model: LanguageModel) -> list[Tensor]:
    """Return the gradient of the loss for each weight.

    Weights that the loss does not depend on get zeros, such as the initial states of labels in a
    window that continues a text.
    """
    weights = list(model.parameters())
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    pairs = zip(weights, gradients, strict=True)
    return [torch.zeros_like(w) if gradient is None else gradient for w, gradient in pairs]


def measure_gradients(model: LanguageModel, windows: Windows) -> GradientSizes:
    """Return the root mean square of each weight's gradient over windows of the training text.

    The first `GRADIENT_WINDOWS` windows are used. They should come from parallel streams, so that
    they cover the whole text. Dropout is off, as in dynamic evaluation.
    """
    following = learning_copy(model)
    squares = [torch.zeros_like(parameter) for parameter in model.parameters()]
    state: State | None = None
    count = 0
    for index in range(min(len(windows), GRADIENT_WINDOWS)):
        window = windows[index]
        state = following.carry_state(state, window.fresh, window.labels)
        inputs, targets = (
            torch.from_numpy(array).to(model.device) for array in (window.inputs, window.targets)
        )
        loss, state = following.loss(inputs, targets, detach_state(state))
        gradients = gradients_of(loss, following)
        torch._foreach_addcmul_(squares, gradients, gradients)
        count += 1
    names = [name for name, _ in model.named_parameters()]
    return {
        name: (square / max(count, 1)).sqrt() for name, square in zip(names, squares, strict=True)
    }
