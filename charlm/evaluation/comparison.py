"""Two models on one text: how much better one is, and how sure that is."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
MIN_UNITS = 10
MAX_UNITS = 5000  # of a resample; more are put together with their neighbours
INTERVAL = (2.5, 97.5)  # percent: the 95 % confidence interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A model's nats less another's, per unit of length, with its 95 % confidence interval."""

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    nats: NDArray[np.float64],
    other_nats: NDArray[np.float64],
    lengths: NDArray[np.float64],
    *,
    seed: int = 0,
) -> Difference:
    """The difference of two models' surprisal on the same pieces of a text (Koehn 2004).

    The pieces, such as frames, are drawn anew with replacement, the same ones for both models.
    With fewer than ten pieces there is no telling: the interval is nan.

    Args:
        nats: of each piece under a model, (pieces,).
        other_nats: under the model it is compared with.
        lengths: of each piece, in the unit of the difference, such as tokens.
        seed: of the resampling.
    """
    gaps, lengths = merge(nats - other_nats, MAX_UNITS), merge(lengths, MAX_UNITS)
    value = float(gaps.sum() / lengths.sum())
    if len(gaps) < MIN_UNITS:
        return Difference(value=value, low=math.nan, high=math.nan)
    generator = np.random.default_rng(seed)
    drawn = np.empty(RESAMPLES)
    for number in range(RESAMPLES):
        sample = generator.integers(len(gaps), size=len(gaps))
        drawn[number] = gaps[sample].sum() / max(lengths[sample].sum(), 1)
    low, high = np.percentile(drawn, INTERVAL)
    return Difference(value=value, low=float(low), high=float(high))


def merge(values: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    """Sums of neighbours, so many that at most `most` remain."""
    together = -(-len(values) // most)
    merged: NDArray[np.float64] = np.add.reduceat(
        values, np.arange(0, len(values), max(together, 1))
    )
    return merged
