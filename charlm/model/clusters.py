"""Clusters of a vocabulary for adaptive softmax, and the choice of their cutoffs."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from charlm.model.config import NUM_SPECIALS
from charlm.model.cross_entropy import IGNORED

# Cost of a cluster in words of the shortlist: about 150 is the measured time, the rest prevents
# cuts that would save next to nothing.
CLUSTER_WORDS = 500
PLACES = 64
ROUND_NUMBERS = [n * 10**power for power in range(9) for n in range(1, 10)]


@dataclass(frozen=True, slots=True)
class Clusters:
    """Shortlist and clusters of rarer words; ids are sorted by frequency, except the specials.

        ids        0 ... cutoffs[0] ... cutoffs[1] ...  vocab_size - 3 ... vocab_size
                   shortlist | cluster 0 | cluster 1 ... | shortlist: <start> <stop> <other>

    The columns of the shortlist are the words before the first cut, the specials and the clusters.
    """

    vocab_size: int
    cutoffs: tuple[int, ...]

    def __post_init__(self) -> None:
        bounds = (0, *self.cutoffs, self._specials)
        assert self.cutoffs and all(a < b for a, b in pairwise(bounds))

    @property
    def slices(self) -> list[slice]:
        """Ids of each cluster."""
        return list(map(slice, self.cutoffs, (*self.cutoffs[1:], self._specials)))

    def shortlist(self, words: Tensor, clusters: Tensor, dim: int) -> Tensor:
        """Return the shortlist's columns, selected along `dim` from those of words and clusters."""
        frequent = words.narrow(dim, 0, self.cutoffs[0])
        specials = words.narrow(dim, self._specials, NUM_SPECIALS)
        return torch.cat([frequent, specials, clusters], dim)

    def split_shortlist(self, columns: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
        """Split the shortlist's columns along `dim` into frequent words, specials and clusters."""
        sizes = [self.cutoffs[0], NUM_SPECIALS, len(self.cutoffs)]
        frequent, specials, clusters = columns.split(sizes, dim)
        return frequent, specials, clusters

    def fill_shortlist(self, words: Tensor, columns: Tensor) -> Tensor:
        """Copy the rows of the shortlist's words into `words`; return the rows of the clusters."""
        frequent, specials, clusters = self.split_shortlist(columns, 0)
        words[: self.cutoffs[0]] = frequent
        words[self._specials :] = specials
        return clusters

    def shortlist_targets(self, targets: Tensor) -> Tensor:
        """Return the shortlist's column of each target, or of the cluster that the target is in."""
        special = targets - self._specials + self.cutoffs[0]
        cluster = self._cluster_of(targets) + self.cutoffs[0] + NUM_SPECIALS
        others = torch.where(targets < self._specials, cluster, special)
        return torch.where(targets < self.cutoffs[0], targets, others)

    def places(self, targets: Tensor) -> Iterator[tuple[Tensor, Tensor, slice]]:
        """Yield the positions of each cluster's targets, their ids within it, and its ids.

        Positions and ids are padded with 0 and `IGNORED` to a multiple of `PLACES`: a matrix
        product of a new shape is compiled first, which takes longer than the product.
        """
        cluster_of = self._cluster_of(targets)
        for i, words in enumerate(self.slices):
            (inside,) = torch.where(cluster_of == i)
            missing = -len(inside) % PLACES
            yield (
                pad(inside, (0, missing)),
                pad(targets[inside] - words.start, (0, missing), value=IGNORED),
                words,
            )

    def _cluster_of(self, targets: Tensor) -> Tensor:
        """Return each target's cluster; -1 for frequent words, len(cutoffs) for specials."""
        cluster = torch.full_like(targets, -1)
        for bound in (*self.cutoffs, self._specials):
            cluster += targets >= bound
        return cluster

    @property
    def _specials(self) -> int:
        return self.vocab_size - NUM_SPECIALS


def default_cutoffs(vocab_size: int) -> tuple[int, ...]:
    """Return the best cutoffs if word frequencies follow Zipf's law: proportional to 1 / rank."""
    return best_cutoffs(1 / np.arange(1, vocab_size - NUM_SPECIALS + 1))


def best_cutoffs(counts: NDArray[np.float64]) -> tuple[int, ...]:
    """Return the round numbers that are the cheapest cutoffs for words of these counts.

    The cost is the mean number of logits per token: those of the shortlist and, if the target is in
    a cluster, those of the cluster (Grave et al. 2017, sec. 4.2). Each cluster adds
    `CLUSTER_WORDS`.

    Args:
        counts: word counts in descending order, (num_words,), without the specials; at least 2.
    """
    num_words = len(counts)
    assert num_words >= 2
    ends = [n for n in ROUND_NUMBERS if n < num_words] + [num_words]
    before = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])  # share of the first n
    # For each start: the lowest cost of clusters for the words from there on, and their cutoffs.
    best: dict[int, tuple[float, tuple[int, ...]]] = {num_words: (0.0, ())}
    for start in reversed(ends[:-1]):
        best[start] = min(
            (CLUSTER_WORDS + (end - start) * (before[end] - before[start]) + cost, (start, *later))
            for end, (cost, later) in best.items()
        )
    del best[num_words]  # at least one cluster
    return min(best.values(), key=lambda found: found[1][0] + found[0])[1]
