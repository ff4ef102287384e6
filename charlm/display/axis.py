"""Chart axes: positions of values, round tick values and their labels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROUND = (1.0, 2.0, 2.5, 5.0, 10.0, 20.0)
PER_DECADE = ((1, 2, 5), (1, 3), (1,))
SUFFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
LONGEST = 15  # maximum characters of a label; a longer one leaves too little room for the chart
LARGE, SMALL = 100_000, 0.001  # numbers from LARGE up or below SMALL are abbreviated


@dataclass(frozen=True, slots=True)
class Axis:
    """Range of a chart axis. `low` < `high`; on a logarithmic axis both are positive."""

    low: float
    high: float
    is_log: bool = False

    def place(self, values: Floats) -> Floats:
        """Return the position of each value along the axis: 0 at `low`, 1 at `high`."""
        low, high = self.low, self.high
        if self.is_log:
            low, high, values = math.log(low), math.log(high), np.log(values)
        return (values - low) / (high - low)

    def ticks(self, most: int) -> list[float]:
        """Return round numbers within the axis, at most `most` and usually at least two."""
        if self.is_log:
            ticks = log_ticks(self.low, self.high, most)
            if len(ticks) > 1:
                return ticks
        return round_ticks(self.low, self.high, most)


def make_axis(low: float, high: float, *, is_log: bool = False) -> Axis:
    """Return an axis from `low` to `high`; if they are equal, widen it around that value."""
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return Axis(low, high, is_log)
    if is_log:
        return Axis(low / 2, high * 2, is_log)
    margin = abs(low) / 10 or 1.0
    return Axis(low - margin, high + margin)


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """Return multiples of 1, 2, 2.5 or 5 times a power of ten within the range.

    The step is the smallest that gives at most `most` ticks.
    """
    step = (high - low) / most
    power = 10.0 ** math.floor(math.log10(step))
    for digit in ROUND:
        first = math.ceil(low / (digit * power) - 1e-9)
        last = math.floor(high / (digit * power) + 1e-9)
        if last - first < most:
            break
    return [rounded(number * digit * power) for number in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return 1, 2 and 5, or 1 and 3, or 1 times each power of ten within the range.

    The densest of these with at most `most` ticks is used. If even the powers of ten are too many,
    they are thinned out evenly.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for digits in PER_DECADE:
        ticks = [digit * 10.0**power for power in range(first, last + 1) for digit in digits]
        inside = [rounded(tick) for tick in ticks if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
        if len(inside) <= most:
            return inside
    return inside[:: math.ceil(len(inside) / most)]


def rounded(value: float) -> float:
    """Round to 12 significant digits, to remove floating-point error."""
    return float(f"{value:.12g}")


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """Return the shortest exact label of each tick; evenly spaced ticks share decimals and unit."""
    steps = np.diff(ticks)
    if len(ticks) > 1 and not np.allclose(steps, steps[0], rtol=1e-6, atol=0):
        return [short(tick) for tick in ticks]
    sizes = [abs(tick) for tick in ticks if tick]
    if min(sizes, default=1.0) < SMALL:
        return [f"{tick:g}" for tick in ticks]
    size, suffix = scale(min(sizes)) if max(sizes, default=0.0) >= LARGE else (1.0, "")
    decimals = next((d for d in range(13) if all(is_exact(tick / size, d) for tick in ticks)), 13)
    labels = [f"{tick / size:,.{decimals}f}{suffix}" if tick else "0" for tick in ticks]
    if max(map(len, labels), default=0) > LONGEST:
        return [f"{tick:g}" for tick in ticks]
    return labels


def short(value: float) -> str:
    """Format a number in few characters: `0.05`, `200`, `1.5M`."""
    size, suffix = scale(abs(value)) if abs(value) >= LARGE else (1.0, "")
    return f"{value / size:g}{suffix}"


def scale(value: float) -> tuple[float, str]:
    """Return the divisor that shortens a number, and its suffix: (1e3, "k"), or (1, "") if none."""
    return next(((size, suffix) for size, suffix in SUFFIXES if value >= size), (1.0, ""))


def is_exact(value: float, decimals: int) -> bool:
    """Return whether rounding to `decimals` decimals leaves a tick value unchanged."""
    return math.isclose(round(value, decimals), value, rel_tol=1e-9, abs_tol=1e-12)
