"""Learning curves of training runs: selection, smoothing and axes. Needs no torch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from charlm.checkpoint import History
from charlm.display.axis import Axis, Floats, make_axis
from charlm.errors import ConfigError

XName = Literal["steps", "tokens", "seconds"]
YName = Literal["loss", "learning-rate", "grad-norm", "tokens-per-second"]
Logarithmic = Literal["x", "y", "xy"]

X_FIELDS: Mapping[XName, str] = {"steps": "step", "tokens": "tokens", "seconds": "seconds"}
Y_TITLES: Mapping[YName, str] = {
    "loss": "nats per token",
    "learning-rate": "learning rate",
    "grad-norm": "gradient norm before clipping",
    "tokens-per-second": "tokens per second",
}
NOISY = ("loss", "grad-norm", "tokens-per-second")
TIMES = ((7200, 3600, "hours"), (120, 60, "minutes"), (0, 1, "seconds"))
SMOOTHED_SHARE = 20  # by default, a moving mean spans 1/20 of the reports
OTHER_WEIGHTS = {"raw weights": "valid_nats_raw", "averaged weights": "valid_nats_averaged"}


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """Settings of a chart.

    Raises:
        ConfigError: `smooth` is below 1, or is given for a quantity that is not smoothed.
    """

    x: XName = "steps"
    y: YName = "loss"
    log: Logarithmic | None = None
    smooth: int | None = None  # reports per moving mean; 1 is no smoothing, None 1/20 of them
    zoom: bool = True  # cut off values far above the rest

    def __post_init__(self) -> None:
        if self.smooth is not None and self.smooth < 1:
            raise ConfigError(f"--smooth must be 1 or more reports, not {self.smooth}.")
        if self.smooth is not None and self.y not in NOISY:
            raise ConfigError(f"--smooth has no effect on --y {self.y}; leave one of them out.")

    def is_log(self, axis: Literal["x", "y"]) -> bool:
        return self.log is not None and axis in self.log


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart. `x` and `y` have shape (points,)."""

    key: int  # selects colour and letter: index of the run, or of the curve if there is one run
    name: str
    x: Floats
    y: Floats
    is_faint: bool = False  # training that is drawn beneath the validation curve of the same key
    averaged: int = 1  # reports per moving mean


@dataclass(frozen=True, slots=True)
class Chart:
    """Curves with their axes and titles."""

    curves: tuple[Curve, ...]
    x_axis: Axis
    y_axis: Axis
    x_title: str
    y_title: str
    highest: float  # largest y of all points; above the axis if the chart is zoomed

    @property
    def faint(self) -> list[Curve]:
        return [curve for curve in self.curves if curve.is_faint]

    @property
    def marked(self) -> list[Curve]:
        return [curve for curve in self.curves if not curve.is_faint]

    @property
    def has_perplexity(self) -> bool:
        """Return whether y shows losses that are readable as perplexities, up to log(1e6) nats."""
        return self.y_title == Y_TITLES["loss"] and self.y_axis.high <= math.log(1e6)

    @property
    def is_cut(self) -> bool:
        """Return whether some values lie above the axis."""
        return self.highest > self.y_axis.high


def run_curves(history: History, view: View, *, key: int = 0, in_detail: bool) -> list[Curve]:
    """Return the curves of a run that have points, training before validation.

    Args:
        history: reports of the run.
        view: quantities to plot and smoothing.
        key: key of the training and validation curves. Curves of raw and averaged weights have the
            following keys.
        in_detail: add the validation curves of raw and averaged weights where they differ from
            the validation curve.
    """
    x_field, y_field = X_FIELDS[view.x], view.y.replace("-", "_")
    x, y = history.series(x_field, y_field)
    averaged = 1
    if view.y in NOISY:
        averaged = max(1, min(view.smooth or len(y) // SMOOTHED_SHARE, len(y)))
    y = moving_mean(y, averaged)
    if view.y != "loss":
        return [Curve(key, Y_TITLES[view.y], x, y, averaged=averaged)] if len(x) else []
    valid_x, valid_y = history.series(x_field, "valid_nats")
    curves = [
        Curve(key, "training", x, y, is_faint=len(valid_x) > 0, averaged=averaged),
        Curve(key, "validation", valid_x, valid_y),
    ]
    for number, (name, field) in enumerate(OTHER_WEIGHTS.items() if in_detail else (), 1):
        other_x, other_y = history.series(x_field, field)
        if not np.array_equal(other_y, valid_y):
            curves.append(Curve(key + number, f"validation, {name}", other_x, other_y))
    return [curve for curve in curves if len(curve.x)]


def label(curve: Curve, names: Sequence[str]) -> str:
    """Return the legend entry of a curve that is not faint.

    Args:
        curve: with several runs, its key is the index of its run.
        names: names of the runs.
    """
    if len(names) == 1:
        return curve.name + mean_of([curve])
    is_training = " (training)" if curve.name == "training" else ""
    return names[curve.key] + is_training + mean_of([curve])


def faint_label(faint: Sequence[Curve]) -> str:
    """Return the legend entry shared by the faint training curves of all runs."""
    return "training" + mean_of(faint)


def mean_of(curves: Sequence[Curve]) -> str:
    """Return the part of a legend entry that states the reports per moving mean, or ""."""
    numbers = sorted({curve.averaged for curve in curves})
    if numbers[-1] == 1:
        return ""
    return ", mean of " + " to ".join(map(str, numbers[:: len(numbers) - 1 or 1])) + " reports"


def perplexities(nats: Sequence[float]) -> list[str]:
    """Return losses in nats as perplexities with three significant digits."""
    return [f"{math.exp(loss):#.3g}".rstrip(".") for loss in nats]


def moving_mean(values: Floats, number: int) -> Floats:
    """Return the centred moving mean over `number` values, over fewer at the ends.

    Args:
        values: shape (points,).
        number: window size, at least 1 and at most the number of points.
    """
    if number == 1:
        return values
    kernel = np.ones(number)  # convolution: a running sum would lose precision after a huge value
    here = slice(number // 2, number // 2 + len(values))
    sums = np.convolve(values, kernel)[here]
    means: Floats = sums / np.convolve(np.ones(len(values)), kernel)[here]
    return means


def make_chart(curves: Sequence[Curve], view: View) -> Chart:
    """Return a chart of the curves with axes that fit them.

    Raises:
        ConfigError: a logarithmic axis was asked for, but no point is positive on it.
    """
    curves, x_title = with_time_unit(curves, view)
    curves = tuple(c for c in (showable(curve, view) for curve in curves) if len(c.x))
    if not curves:
        raise ConfigError(
            f"--log shows what is above 0, which no {view.y} by {view.x} is; leave it out."
        )
    x = np.concatenate([curve.x for curve in curves])
    first = float(x.min()) if view.is_log("x") else 0.0
    low = min(float(curve.y.min()) for curve in curves)
    highest = max(float(curve.y.max()) for curve in curves)
    high = max(zoomed_high(curve.y) for curve in curves) if view.zoom else highest
    return Chart(
        curves,
        make_axis(first, float(x.max()), is_log=view.is_log("x")),
        make_axis(low, high, is_log=view.is_log("y")),
        x_title,
        Y_TITLES[view.y],
        highest,
    )


def with_time_unit(curves: Sequence[Curve], view: View) -> tuple[Sequence[Curve], str]:
    """Return the curves, with long times in minutes or hours, and the title of the x axis."""
    if view.x != "seconds":
        return curves, view.x
    longest = max((float(curve.x.max()) for curve in curves), default=0.0)
    size, title = next((size, title) for least, size, title in TIMES if longest >= least)
    return [replace(curve, x=curve.x / size) for curve in curves], f"{title} of training"


def showable(curve: Curve, view: View) -> Curve:
    """Return the curve sorted by x, without points that a logarithmic axis cannot show."""
    kept = np.ones(len(curve.x), np.bool_)
    if view.is_log("x"):
        kept &= curve.x > 0
    if view.is_log("y"):
        kept &= curve.y > 0
    order = np.argsort(curve.x[kept], kind="stable")
    x, y = curve.x[kept][order], curve.y[kept][order]
    return replace(curve, x=x, y=y)


def zoomed_high(values: Floats) -> float:
    """Return the upper limit of the axis that keeps a few high values from hiding detail.

    High values are common at the start of a run. The limit lies half the distance from the minimum
    to the 95th percentile above that percentile, but not above the maximum.
    """
    low, most = float(values.min()), float(np.quantile(values, 0.95))
    return float(values.max()) if most <= low else min(float(values.max()), 1.5 * most - 0.5 * low)
