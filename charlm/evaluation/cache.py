"""The continuous neural cache (Grave et al. 2017, arXiv:1612.04426)."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charlm.data import NOT_PREDICTED
from charlm.errors import ConfigError
from charlm.evaluation.network import HiddenReader, from_logits
from charlm.evaluation.predictor import MAX_ROWS, WINDOW, Predictions, PredictorState

MAX_SIZE = 100_000  # tokens


RECALLED = 1 << 24  # maximum number of cache weights in memory at a time: 64 MiB


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheConfig:
    """Settings of the neural cache."""

    size: int = 500  # tokens
    flatness: float = 0.3  # theta: 0 weights all positions equally; higher favours similar contexts
    weight: float = 0.1  # lambda: the cache's share of the probability

    def __post_init__(self) -> None:
        if not 1 <= self.size <= MAX_SIZE:
            raise ConfigError(
                f"the cache's size must be 1 to {MAX_SIZE:,} tokens, not {self.size}."
            )
        if not 0 <= self.flatness < math.inf:
            raise ConfigError(f"the cache's flatness must be 0 or more, not {self.flatness}.")
        if not 0 < self.weight < 1:
            raise ConfigError(f"the cache's weight must be above 0 and below 1, not {self.weight}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """The last positions read: their hidden vectors and the token that followed each.

    `hidden` is (batch, positions, hidden_size). `followers`, (batch, positions), is
    `NOT_PREDICTED` where the next token is not a target.
    """

    hidden: Tensor
    followers: Tensor

    def extend(self, hidden: Tensor, followers: Tensor) -> "Memory":
        """Return a memory with more positions appended."""
        return Memory(
            hidden=torch.cat([self.hidden, hidden], dim=1),
            followers=torch.cat([self.followers, followers], dim=1),
        )

    def last(self, size: int) -> "Memory":
        """Return the last `size` positions."""
        return Memory(hidden=self.hidden[:, -size:], followers=self.followers[:, -size:])

    def select_rows(self, rows: Tensor) -> "Memory":
        """Return the given rows of the batch, (num_rows,)."""
        return Memory(hidden=self.hidden[rows], followers=self.followers[rows])


class CachedPredictor:
    """A network interpolated with a cache of its recent hidden states.

        P_cache(w | h_1 .. h_t) ~ sum over i < t with x_(i+1) = w of exp(flatness h_t . h_i)
        P = (1 - weight) P_network + weight P_cache

    h_i is the last layer's output at token i (eqs. 2 to 4), and i runs over the last `size` tokens.
    While the cache is empty, P is P_network.
    """

    def __init__(self, network: HiddenReader, config: CacheConfig) -> None:
        self.config = config
        self.stride: int = network.stride
        self.max_rows: int | None = min(network.max_rows or MAX_ROWS, most_rows(config.size))
        self._network = network

    def initial_state(self, batch_size: int) -> PredictorState:
        return self._network.initial_state(batch_size), None

    def predict(
        self, inputs: Tensor, targets: Tensor, state: PredictorState
    ) -> tuple[Predictions, PredictorState]:
        network_state, memory = state
        hidden, logits, network_state = self._network.read(inputs, targets, network_state)
        if memory is None:
            memory = Memory(hidden=hidden[:, :0], followers=targets[:, :0])
        memory = memory.extend(hidden, targets)
        recalled = recall(hidden, memory, self.config)
        predictions = mix(from_logits(logits, targets), recalled, memory, targets, self.config)
        return predictions, (network_state, memory.last(self.config.size))

    def select_rows(self, state: PredictorState, rows: NDArray[np.int64]) -> PredictorState:
        network_state, memory = state
        if memory is not None:
            memory = memory.select_rows(torch.from_numpy(rows).to(memory.hidden.device))
        return self._network.select_rows(network_state, rows), memory


def most_rows(size: int) -> int:
    """Return how many rows can be read together with a cache of `size` tokens, at least 1."""
    return max(1, RECALLED // (WINDOW * (WINDOW + size)))


def recall(hidden: Tensor, memory: Memory, config: CacheConfig) -> Tensor:
    """Return the weight of each cached position, as (batch, time, positions).

    `hidden`, (batch, time, hidden_size), holds the last `time` positions of the memory. Each one
    sees only the `config.size` positions before it. The weights sum to 1 over the positions, or
    are all 0 if no position can be used.
    """
    time, places = hidden.shape[1], memory.hidden.shape[1]
    here = torch.arange(places - time, places, device=hidden.device)[:, None]
    there = torch.arange(places, device=hidden.device)
    seen = (there < here) & (there >= here - config.size)  # (time, places)
    seen = seen & (memory.followers != NOT_PREDICTED)[:, None, :]
    scores = config.flatness * hidden @ memory.hidden.transpose(1, 2)
    scores = scores.masked_fill(~seen, -math.inf)
    return scores.softmax(-1).nan_to_num(nan=0.0)  # NaN: every position is masked


def mix(
    network: Predictions, recalled: Tensor, memory: Memory, targets: Tensor, config: CacheConfig
) -> Predictions:
    """Interpolate the network's probabilities with those of the cache."""
    empty = recalled.sum(-1) == 0
    kept = math.log1p(-config.weight)

    def join(network_log_probs: Tensor, cache_probs: Tensor, empty: Tensor) -> Tensor:
        cache_log_probs = cache_probs.log() + math.log(config.weight)
        mixed = torch.logaddexp(network_log_probs + kept, cache_log_probs)
        return torch.where(empty, network_log_probs, mixed)

    def distribution() -> Tensor:
        log_probs = network.distribution()
        followers = memory.followers.clamp(min=0)[:, None, :].expand_as(recalled)
        cache = torch.zeros_like(log_probs).scatter_add_(2, followers, recalled)
        return join(log_probs, cache, empty[..., None])

    return Predictions(
        log_probs=join(network.log_probs, cache_probs(recalled, memory, targets), empty),
        distribution=distribution,
    )


def cache_probs(recalled: Tensor, memory: Memory, targets: Tensor) -> Tensor:
    """Return the cache's probability of each target, (batch, time)."""
    return (recalled * (memory.followers[:, None, :] == targets[..., None])).sum(-1)
