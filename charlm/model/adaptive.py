"""Adaptive softmax (Grave et al. 2017, arXiv:1609.04309): rare words grouped in clusters."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from charlm.model.clusters import Clusters
from charlm.model.cross_entropy import (
    Gradients,
    add_up,
    at_least_float32,
    linear_nats,
    logits,
    num_predicted,
    scaled,
)


class AdaptiveHead(nn.Module):
    """Softmax in two steps: over a shortlist and clusters of words, then within the cluster.

        log P(w) = log P_short(w)                                  w in the shortlist
        log P(w) = log P_short(cluster of w) + log P_cluster(w)    otherwise

    The logits of a cluster are computed only for tokens whose target is in it. Unlike in the paper,
    every word has a vector of full width, so the matrix can be tied to the embedding. Each cluster
    has its own vector and bias. The initial biases make all words equally likely.
    """

    def __init__(self, hidden_size: int, vocab_size: int, cutoffs: tuple[int, ...]) -> None:
        super().__init__()
        self.clusters = Clusters(vocab_size, cutoffs)
        self.projection = nn.Linear(hidden_size, vocab_size)
        self.cluster_projection = nn.Linear(hidden_size, len(cutoffs))
        nn.init.zeros_(self.projection.bias)
        with torch.no_grad():
            for i, words in enumerate(self.clusters.slices):
                self.cluster_projection.bias[i] = math.log(words.stop - words.start)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return log-probabilities (..., vocab_size) in float32; hidden is (..., hidden_size)."""
        words = logits(hidden, self.projection.weight, self.projection.bias)
        clusters = logits(hidden, self.cluster_projection.weight, self.cluster_projection.bias)
        return log_probs(words, clusters, self.clusters).float()

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return mean nats per predicted target; hidden is (..., hidden_size), targets (...)."""
        if not torch.is_grad_enabled():
            return self.nats(hidden, targets).sum() / num_predicted(targets)
        mean: Tensor = AdaptiveCrossEntropy.apply(  # type: ignore[no-untyped-call]
            hidden.reshape(-1, hidden.shape[-1]),
            self.projection.weight,
            self.projection.bias,
            self.cluster_projection.weight,
            self.cluster_projection.bias,
            targets.flatten(),
            self.clusters,
        )
        return mean

    def nats(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return the surprisal of each target in nats, shaped like `targets`; 0 where ignored."""
        weight, bias = self.projection.weight, self.projection.bias
        rows, flat = hidden.reshape(-1, hidden.shape[-1]), targets.flatten()
        nats = linear_nats(
            rows,
            self.clusters.shortlist(weight, self.cluster_projection.weight, 0),
            self.clusters.shortlist(bias, self.cluster_projection.bias, 0),
            self.clusters.shortlist_targets(flat),
        )
        for inside, wanted, words in self.clusters.places(flat):
            within = linear_nats(rows[inside], weight[words], bias[words], wanted)
            nats = nats.index_add(0, inside, within)
        return nats.view(targets.shape)


def log_probs(words: Tensor, clusters: Tensor, division: Clusters) -> Tensor:
    """Normalise scores of words, (..., vocab_size), and clusters, (..., clusters).

    Returns log-probabilities, (..., vocab_size). The result of a row does not depend on the other
    rows, to the last bit.
    """
    shortlist = division.shortlist(words, clusters, -1).log_softmax(-1)
    frequent, specials, chosen = division.split_shortlist(shortlist, -1)
    within = [
        words[..., ids].log_softmax(-1) + chosen[..., i : i + 1]
        for i, ids in enumerate(division.slices)
    ]
    return torch.cat([frequent, *within, specials], -1)


class AdaptiveCrossEntropy(torch.autograd.Function):
    """Autograd function: mean nats per predicted target, with gradients computed alongside.

    See `charlm.model.cross_entropy`. The number of tokens in a cluster depends on the values of the
    targets, so every call waits for the GPU.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        cluster_weight: Tensor,
        cluster_bias: Tensor,
        targets: Tensor,
        division: Clusters,
    ) -> Tensor:
        divisor = num_predicted(targets)
        short_weight = division.shortlist(weight, cluster_weight, 0)
        short_bias = division.shortlist(bias, cluster_bias, 0)
        columns = division.shortlist_targets(targets)
        short = Gradients.empty(hidden, short_weight, short_bias)
        mean = add_up(hidden, short_weight, short_bias, columns, divisor, short)
        of_weight, of_bias = torch.empty_like(weight), torch.empty_like(bias)
        for inside, wanted, words in division.places(targets):
            rows = hidden[inside]
            part = Gradients(
                at_least_float32(torch.empty_like(rows)), of_weight[words], of_bias[words]
            )
            mean += add_up(rows, weight[words], bias[words], wanted, divisor, part)
            short.hidden.index_add_(0, inside, part.hidden)
        of_clusters = division.fill_shortlist(of_weight, short.weight)
        of_cluster_bias = division.fill_shortlist(of_bias, short.bias)
        ctx.save_for_backward(
            short.hidden.to(hidden), of_weight, of_bias, of_clusters, of_cluster_bias
        )
        return mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor | None, ...]:
        return (*(scaled(gradient, factor) for gradient in ctx.saved_tensors), None, None)
