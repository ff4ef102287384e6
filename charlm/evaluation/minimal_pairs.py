"""How often a model finds the good sentence of a minimal pair likelier than the bad one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charlm.evaluation.result import BITS_PER_NAT, ratio

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class PairScores:
    """What a model makes of some pairs, as sums."""

    num_pairs: int
    num_right: int  # the good sentence is likelier
    num_ties: int  # both are as likely, as where only words differ that the model does not know
    total_nats: float  # of log P(good) - log P(bad)

    @property
    def accuracy(self) -> float:
        """Share of pairs that are right, a tie counting half; nan without pairs."""
        return ratio(self.num_right + self.num_ties / 2, self.num_pairs)

    @property
    def bits_per_pair(self) -> float:
        """By how many bits the good sentence is likelier, on average."""
        return ratio(self.total_nats * BITS_PER_NAT, self.num_pairs)


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupedPairScores:
    """Pairs by group, in the order the groups first appear, and all of them together."""

    groups: dict[str, PairScores]
    together: PairScores


def score_pairs(groups: Sequence[str], good: Floats, bad: Floats) -> GroupedPairScores:
    """Compare the sentences of each pair.

    Args:
        groups: a name for each pair, (num_pairs,).
        good: log P in nats of the good sentences, (num_pairs,).
        bad: of the bad ones.
    """
    names = list(dict.fromkeys(groups))
    owner = np.array(groups, dtype=object)
    by_group = {name: compare(good[owner == name], bad[owner == name]) for name in names}
    return GroupedPairScores(groups=by_group, together=compare(good, bad))


def compare(good: Floats, bad: Floats) -> PairScores:
    """Pairs of one group."""
    return PairScores(
        num_pairs=len(good),
        num_right=int((good > bad).sum()),
        num_ties=int((good == bad).sum()),
        total_nats=float((good - bad).sum()),
    )
