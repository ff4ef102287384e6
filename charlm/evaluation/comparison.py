"""Comparison of two models on one text, with a bootstrap confidence interval."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
MIN_UNITS = 10
MAX_UNITS = 5000  # per resample; more units are merged with their neighbours
INTERVAL = (2.5, 97.5)  # percent: the 95 % confidence interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """Nats of one model minus those of another per unit of length, with a 95 % interval.

    A negative value means that the first model is better.
    """

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Return whether zero lies outside the interval; False if the interval is NaN."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    nats: NDArray[np.float64],
    other_nats: NDArray[np.float64],
    lengths: NDArray[np.float64],
    *,
    seed: int = 0,
) -> Difference:
    """Return the difference in surprisal of two models on the same pieces of a text (Koehn 2004).

    The pieces, such as frames, are resampled with replacement, the same ones for both models. With
    fewer than ten pieces the bounds of the interval are NaN.

    Args:
        nats: surprisal of each piece under the first model, (num_pieces,).
        other_nats: surprisal of each piece under the second model, (num_pieces,).
        lengths: length of each piece, (num_pieces,), in the unit of the difference, such as tokens.
        seed: seed of the resampling.
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
    """Sum groups of neighbouring values so that at most `most` values remain."""
    together = -(-len(values) // most)
    merged: NDArray[np.float64] = np.add.reduceat(
        values, np.arange(0, len(values), max(together, 1))
    )
    return merged
