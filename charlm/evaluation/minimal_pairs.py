"""Accuracy on minimal pairs: how often the good sentence has a higher probability."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charlm.evaluation.result import BITS_PER_NAT, ratio

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class PairScores:
    """A model's results on a set of pairs, as sums."""

    num_pairs: int
    num_right: int  # the good sentence has the higher probability
    num_ties: int  # equal probabilities, for example if only unknown words differ
    total_nats: float  # of log P(good) - log P(bad)

    @property
    def accuracy(self) -> float:
        """Return the share of correct pairs, where a tie counts half; NaN without pairs."""
        return ratio(self.num_right + self.num_ties / 2, self.num_pairs)

    @property
    def bits_per_pair(self) -> float:
        """Return the mean of log2 P(good) - log2 P(bad); NaN without pairs."""
        return ratio(self.total_nats * BITS_PER_NAT, self.num_pairs)


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupedPairScores:
    """Results by group, in order of first appearance, and for all pairs together."""

    groups: dict[str, PairScores]
    together: PairScores


def score_pairs(groups: Sequence[str], good: Floats, bad: Floats) -> GroupedPairScores:
    """Compare the sentences of each pair, by group and over all groups.

    Args:
        groups: name of the group of each pair, (num_pairs,).
        good: log P of the good sentences in nats, (num_pairs,).
        bad: log P of the bad sentences in nats, (num_pairs,).
    """
    names = list(dict.fromkeys(groups))
    owner = np.array(groups, dtype=object)
    by_group = {name: compare(good[owner == name], bad[owner == name]) for name in names}
    return GroupedPairScores(groups=by_group, together=compare(good, bad))


def compare(good: Floats, bad: Floats) -> PairScores:
    """Return the results of one group of pairs."""
    return PairScores(
        num_pairs=len(good),
        num_right=int((good > bad).sum()),
        num_ties=int((good == bad).sum()),
        total_nats=float((good - bad).sum()),
    )
