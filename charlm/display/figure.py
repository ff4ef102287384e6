"""Learning curves as a PNG, SVG or PDF figure, drawn with matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charlm.display.axis import Axis, tick_labels
from charlm.display.curves import Chart, Curve, faint_label, label, perplexities
from charlm.errors import ConfigError
from charlm.storage import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe & Ito 2008: distinguishable with any colour vision, and all but the last in greyscale too.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
MARKERS = "os^DvPX"
WIDTH, HEIGHT = 6.4, 4.0  # inches
DOTS_PER_INCH = 200
MARKS_PER_CURVE = 12
MOST_TICKS = 8
MARGIN = 0.03  # fraction of the axis
SETTINGS: Any = {  # matplotlib types its keys as literals, which a plain dict does not match
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    "font.size": 10,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # keeps text searchable
    "svg.fonttype": "none",
    "svg.hashsalt": "charlm",  # makes files reproducible
    "text.parse_math": False,  # a name may contain a dollar sign
}
NO_DATE = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def save_figure(chart: Chart, names: Sequence[str], path: Path) -> None:
    """Draw a chart into a file, in the format given by its extension.

    Args:
        chart: what to draw.
        names: names of the runs.
        path: file name that ends with .png, .svg or .pdf.

    Raises:
        ConfigError: matplotlib is not installed.
        StorageError: the file cannot be written.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure  # pyplot would open windows and keep global state
    except ImportError:
        raise ConfigError("to draw into a file, run `pip install charlm[plot]`.") from None
    form = path.suffix.lower().removeprefix(".")
    with rc_context(SETTINGS):
        figure = Figure((WIDTH, HEIGHT), dpi=DOTS_PER_INCH, layout="constrained")
        axes = figure.subplots()
        for curve in sorted(chart.curves, key=lambda curve: not curve.is_faint):
            axes.plot(curve.x, curve.y, **line_style(curve))
        label_axes(axes, chart, alone=len(names) == 1)
        add_legend(axes, chart, names)
        with atomic_file(path) as file:
            figure.savefig(file, format=form, metadata=NO_DATE[form])


def line_style(curve: Curve) -> dict[str, Any]:
    """Return the matplotlib line properties of a curve."""
    colour = COLOURS[curve.key % len(COLOURS)]
    if curve.is_faint:
        return {"color": colour, "linewidth": 1.0, "linestyle": ":", "alpha": 0.9}
    return {
        "color": colour,
        "linewidth": 1.6,
        "marker": MARKERS[curve.key % len(MARKERS)],
        "markersize": 4.5,
        "markevery": max(1, len(curve.x) // MARKS_PER_CURVE),
    }


def label_axes(axes: "Axes", chart: Chart, *, alone: bool) -> None:
    """Set titles, ranges, scales and ticks; for the loss of a single run, add a perplexity axis."""
    x_ticks, y_ticks = chart.x_axis.ticks(MOST_TICKS), chart.y_axis.ticks(MOST_TICKS)
    axes.set_xscale("log" if chart.x_axis.is_log else "linear")
    axes.set_xticks(x_ticks, tick_labels(x_ticks))
    axes.set_xlim(with_margin(chart.x_axis))
    axes.set_xlabel(chart.x_title)
    sides = [(axes, chart.y_title, tick_labels(y_ticks))]
    if alone and chart.has_perplexity:
        sides.append((axes.twinx(), "perplexity", perplexities(y_ticks)))
        sides[1][0].spines.right.set_visible(True)
        sides[1][0].grid(visible=False)
    for side, title, labels in sides:
        side.set_yscale("log" if chart.y_axis.is_log else "linear")
        side.set_yticks(y_ticks, labels)
        side.set_ylim(with_margin(chart.y_axis))
        side.set_ylabel(title)
        side.minorticks_off()


def with_margin(axis: Axis) -> tuple[float, float]:
    """Return the limits of the axis with a margin, so that no line runs along the frame."""
    if axis.is_log:
        margin = (axis.high / axis.low) ** MARGIN
        return axis.low / margin, axis.high * margin
    margin = (axis.high - axis.low) * MARGIN
    return axis.low - margin, axis.high + margin


def add_legend(axes: "Axes", chart: Chart, names: Sequence[str]) -> None:
    """Add a legend, with one entry for the training of all runs, and a note on cut-off values."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], **line_style(curve)) for curve in chart.marked]
    labels = [label(curve, names) for curve in chart.marked]
    if chart.faint:
        style = line_style(chart.faint[0]) | ({} if len(names) == 1 else {"color": "grey"})
        handles.append(Line2D([], [], **style))
        labels.append(faint_label(chart.faint))
    # matplotlib omits labels that begin with an underscore; a leading space is invisible.
    axes.legend(handles, [f" {text}" if text.startswith("_") else text for text in labels])
    if chart.is_cut:
        note = f"values up to {chart.highest:.4g} are not shown"
        axes.set_title(note, loc="right", fontsize="small", color="grey")
