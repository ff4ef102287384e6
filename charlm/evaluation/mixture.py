"""Linear interpolation of several predictors (Jelinek & Mercer 1980)."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charlm.errors import ConfigError
from charlm.evaluation.predictor import Predictions, Predictor, PredictorState

EM_STEPS = 1000
EM_TOLERANCE = 1e-9  # nats per token; EM stops when a step improves by less


class Mixture:
    """Mixture of predictors over one vocabulary: P = sum of weight_i P_i.

    Raises:
        ConfigError: a weight is not above 0, or the weights do not sum to 1.
    """

    def __init__(self, members: Sequence[Predictor], weights: Sequence[float]) -> None:
        assert len(members) == len(weights)
        if not all(0 < weight <= 1 for weight in weights) or abs(sum(weights) - 1) > 1e-6:
            shown = ", ".join(f"{weight:g}" for weight in weights)
            raise ConfigError(f"the weights of a mix must be above 0 and sum to 1, not {shown}.")
        self._members = members
        self._log_weights = [math.log(weight) for weight in weights]
        self.stride = math.lcm(*(member.stride for member in members))
        limits = [member.max_rows for member in members if member.max_rows is not None]
        self.max_rows = min(limits, default=None)

    def initial_state(self, batch_size: int) -> PredictorState:
        return [member.initial_state(batch_size) for member in self._members]

    def predict(
        self, inputs: Tensor, targets: Tensor, state: PredictorState
    ) -> tuple[Predictions, PredictorState]:
        pairs = zip(self._members, state, strict=True)
        found = [member.predict(inputs, targets, own) for member, own in pairs]
        predictions = [prediction for prediction, _ in found]
        mixed = Predictions(
            log_probs=self._mix([prediction.log_probs for prediction in predictions]),
            distribution=lambda: self._mix([p.distribution() for p in predictions]),
        )
        return mixed, [after for _, after in found]

    def select_rows(self, state: PredictorState, rows: NDArray[np.int64]) -> PredictorState:
        return [m.select_rows(own, rows) for m, own in zip(self._members, state, strict=True)]

    def _mix(self, log_probs: Sequence[Tensor]) -> Tensor:
        weighted = zip(log_probs, self._log_weights, strict=True)
        return torch.stack([values + weight for values, weight in weighted]).logsumexp(0)


def fit_weights(nats: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the maximum-likelihood weights of a mixture, by expectation maximization.

    Each step sets a member's weight to its mean posterior probability over the tokens (Dempster et
    al. 1977; Jelinek & Mercer 1980). The log-likelihood is concave in the weights, so the starting
    point does not matter.

    Args:
        nats: surprisal of each token under each member, (num_members, num_tokens). Tokens that are
            impossible under all members are ignored.

    Returns:
        Weights that sum to 1, (num_members,); some may be close to 0.
    """
    log_probs = -nats[:, np.isfinite(nats).any(axis=0)]  # the others say nothing about weights
    log_weights = np.full(len(nats), -math.log(len(nats)))
    before = math.inf
    for _ in range(EM_STEPS):
        joint = log_probs + log_weights[:, None]
        mixed = np.logaddexp.reduce(joint, axis=0)
        surprisal = -float(mixed.mean())
        if before - surprisal < EM_TOLERANCE:
            break
        before = surprisal
        share = np.exp(joint - mixed).mean(axis=1)
        log_weights = np.log(np.maximum(share, 1e-12) / np.maximum(share, 1e-12).sum())
    weights: NDArray[np.float64] = np.exp(log_weights)
    return weights
