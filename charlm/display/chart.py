"""Learning curves in the terminal: a braille chart and a table of the runs. Needs no torch."""

from collections.abc import Iterator, Sequence
from string import ascii_lowercase, ascii_uppercase

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from charlm.checkpoint import History
from charlm.display.axis import tick_labels
from charlm.display.canvas import NO_INK, Canvas
from charlm.display.console import data_console
from charlm.display.curves import Chart, Curve, faint_label, label, perplexities

COLOURS = ("cyan", "yellow", "magenta", "green", "blue", "red")
MARKS = ascii_uppercase + ascii_lowercase
PIPE_WIDTH = 80  # columns; at the width of piped tables a chart would look flat
LEAST_WIDTH = 30
LEAST_HEIGHT, MOST_HEIGHT = 8, 24
OTHER_LINES = 12  # titles, legend and table, which should fit on the screen with the chart
COLUMNS_OF_TICK = 12
COLUMNS_OF_MARK = 24  # between two marks along a curve
WIDTH_FOR_PERPLEXITY = 60
DOTTED_SAMPLE = "⠑⠢⡑⢄"
SUMMARY = ("steps", "seconds", "best nats", "at step", "last loss", "tokens per s")

Runs = Sequence[tuple[str, History]]
"""What each run is called, and its reports."""


def show_chart(chart: Chart, runs: Runs) -> None:
    """Print a chart as wide as the terminal, its legend, and a table of the runs.

    Args:
        chart: made from `runs`; with several runs, the key of a curve is the index of its run.
        runs: name and history of each run.
    """
    console = data_console()
    width = max(LEAST_WIDTH, console.width if console.is_terminal else PIPE_WIDTH)
    height = min(width // 4, MOST_HEIGHT)
    if console.is_terminal:
        height = min(height, console.height - OTHER_LINES - len(runs))
    lines = list(chart_lines(chart, width, max(LEAST_HEIGHT, height), alone=len(runs) == 1))
    console.print(Text("\n").join(lines))
    for line in legend(chart, [name for name, _ in runs]):
        console.print(line, width=width, soft_wrap=False)
    console.print(summary(runs), width=width, soft_wrap=False)


def chart_lines(chart: Chart, width: int, height: int, *, alone: bool) -> Iterator[Text]:
    """Yield the chart with its axes, line by line.

    Args:
        chart: what to draw.
        width: total number of columns.
        height: number of rows within the axes.
        alone: the chart shows a single run; if it is wide enough, losses are labelled with their
            perplexities on the right.
    """
    ticks = chart.y_axis.ticks(max(3, height // 3))
    labels = tick_labels(ticks)
    others = [""] * len(ticks)
    if alone and chart.has_perplexity and width >= WIDTH_FOR_PERPLEXITY:
        others = perplexities(ticks)
    left, right = (max(map(len, texts), default=0) for texts in (labels, others))
    columns = width - left - right - 5
    canvas = drawn(chart, columns, height)
    at = {canvas.cell(0, y)[0]: n for n, y in enumerate(chart.y_axis.place(np.array(ticks)))}
    yield titles(chart.y_title, "perplexity" if any(others) else "", width)
    for row, parts in enumerate(canvas.rows()):
        tick = at.get(row)
        line = Text(f"{'' if tick is None else labels[tick]:>{left}} ")
        line.append("│" if tick is None else "┤", style="dim")
        for part, ink in parts:
            line.append(part, style="" if ink == NO_INK else line_style(chart.curves[ink]))
        if right:
            line.append("│" if tick is None else "├", style="dim")
            line.append("" if tick is None else f" {others[tick]}")
        line.rstrip()
        yield line
    yield from x_axis_lines(chart, canvas, left, columns)


def titles(left: str, right: str, width: int) -> Text:
    """Return the line above the chart: one title at each end."""
    return Text(left + right.rjust(width - len(left)) if right else left, style="bold")


def x_axis_lines(chart: Chart, canvas: Canvas, left: int, columns: int) -> Iterator[Text]:
    """Yield the lines of the x axis: the axis, its tick labels and its title."""
    ticks = chart.x_axis.ticks(max(2, columns // COLUMNS_OF_TICK))
    line = ["─"] * columns
    numbers = [" "] * (left + 2 + columns)
    free = 0
    for x, number in zip(chart.x_axis.place(np.array(ticks)), tick_labels(ticks), strict=True):
        column = canvas.cell(x, 0)[1]
        line[column] = "┬"
        start = min(max(free, left + 2 + column - len(number) // 2), len(numbers) - len(number))
        if start >= free:
            numbers[start : start + len(number)] = number
            free = start + len(number) + 1
    yield Text(" " * (left + 1)).append("└" + "".join(line), style="dim")
    yield Text("".join(numbers).rstrip())
    yield Text(chart.x_title.rjust(left + 2 + columns), style="bold")


def drawn(chart: Chart, columns: int, height: int) -> Canvas:
    """Draw the curves: training beneath validation, and marks on top."""
    canvas = Canvas(columns, height)
    places = [(chart.x_axis.place(c.x), chart.y_axis.place(c.y)) for c in chart.curves]
    inks = sorted(range(len(places)), key=lambda ink: not chart.curves[ink].is_faint)
    for ink in inks:
        canvas.draw(*places[ink], ink, dotted=chart.curves[ink].is_faint)
    marked = inks[len(chart.faint) :]
    distance = COLUMNS_OF_MARK / columns
    for number, ink in enumerate(marked, 1):  # marks are staggered so that none hides another
        x, y = places[ink]
        along = np.arange(x[0] + distance * number / len(marked), x[-1] - distance / 2, distance)
        for place in np.append(along, x[-1]):
            canvas.put(place, np.interp(place, x, y), mark(chart.curves[ink]), ink)
    return canvas


def colour(curve: Curve) -> str:
    """Return the rich colour of a curve."""
    return COLOURS[curve.key % len(COLOURS)]


def line_style(curve: Curve) -> str:
    """Return the rich style of a curve's line; training is dimmed."""
    return f"dim {colour(curve)}" if curve.is_faint else f"bold {colour(curve)}"


def mark(curve: Curve) -> str:
    """Return the letter that marks a curve."""
    return MARKS[curve.key % len(MARKS)]


def legend(chart: Chart, names: Sequence[str]) -> Iterator[Text]:
    """Yield the lines of the legend, and a note if values are cut off.

    Args:
        chart: the chart to describe.
        names: names of the runs.
    """
    parts = [
        Text(f"{mark(each)} {label(each, names)}", style=colour(each)) for each in chart.marked
    ]
    if chart.faint:
        style = f"dim {colour(chart.faint[0])}" if len(names) == 1 else "dim"
        parts.append(Text(f"{DOTTED_SAMPLE} {faint_label(chart.faint)}", style=style))
    yield Text("   ").join(parts)
    if chart.is_cut:
        values = f"values up to {chart.highest:.4g} are above the chart; --no-zoom shows them"
        yield Text(values, style="dim")


def summary(runs: Runs) -> Table:
    """Return a table with one row per run; values that were not reported stay empty."""
    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("run", overflow="fold")
    for heading in SUMMARY:
        table.add_column(heading, justify="right")
    for key, (name, history) in enumerate(runs):
        style = COLOURS[key % len(COLOURS)] if len(runs) > 1 else ""
        shown = f"{MARKS[key % len(MARKS)]} {name}" if len(runs) > 1 else name
        nats, step = history.best or (None, None)
        table.add_row(
            Text(shown, style=style),
            cell(history.last("step"), ",.0f"),
            cell(history.last("seconds"), ",.0f"),
            cell(nats, ".4f"),
            cell(step, ",.0f"),
            cell(history.last("loss"), ".4f"),
            cell(history.tokens_per_second, ",.0f"),
        )
    return table


def cell(value: float | None, form: str) -> str:
    """Format a number, or return an empty string for None."""
    return "" if value is None else format(value, form)
