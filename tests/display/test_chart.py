"""Learning curves in the terminal: what stands in which row, at any width, without colour too."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.checkpoint import History, Report
from charlm.display.chart import COLOURS, chart_lines, show_chart
from charlm.display.curves import Chart, Curve, View, make_chart, run_curves


def history(losses, validations=(), name="run"):
    reports = [Report(step=n, seconds=n / 4, loss=loss) for n, loss in enumerate(losses, 1)]
    reports += [Report(step=n, seconds=n / 4, valid_nats=nats) for n, nats in validations]
    return History(Path(name), tuple(reports))


def lines_of(chart, width=60, height=9, alone=True):
    return [line.plain for line in chart_lines(chart, width, height, alone=alone)]


@pytest.fixture
def show(monkeypatch, capsys):
    """Show runs on a terminal, or in a pipe where there are no columns; the lines."""

    def show(*runs, columns=80, view=None, styles=False, **terminal):
        if columns is not None:
            terminal = {"TTY_COMPATIBLE": "1", "TERM": "xterm", "NO_COLOR": "1", **terminal}
            terminal |= {"COLUMNS": columns, "LINES": 50}
        for name, value in terminal.items():
            monkeypatch.setenv(name, str(value))
        view = view or View(smooth=1)
        alone = len(runs) == 1
        curves = [
            each
            for key, run in enumerate(runs)
            for each in run_curves(run, view, key=key, in_detail=alone)
        ]
        show_chart(make_chart(curves, view), [(str(run.folder), run) for run in runs])
        lines = capsys.readouterr().out.splitlines()
        return [line if styles or columns is None else plain(line) for line in lines]

    return show


def plain(line):
    return re.sub(r"\x1b\[[0-9;]*m", "", line)


def test_a_falling_line_is_drawn_as_it_is_known_to_be():
    chart = make_chart([Curve(0, "training", np.array([0.0, 9.0]), np.array([3.0, 1.0]))], View())

    assert lines_of(chart, width=30, height=6) == [
        "nats per token",
        "3 ┤⠉⠒⠤⣀",
        "  │    ⠉⠒⠤⣀",
        "  │        ⠉⠒⠤⣀",
        "2 ┤            ⠉⠒⠤⣀",
        "  │                ⠉⠒⠤⣀",
        "1 ┤                    ⠉⠒⠤A",
        "  └┬────────────┬──────────",
        "   0            5",
        "                      steps",
    ]


def test_extremes_are_in_the_rows_of_their_values(show):
    found = show(history([2.0, 4.0, 1.0, 2.0]), view=View(smooth=1, zoom=False))

    rows = [line for line in found if "│" in line or "┤" in line]
    drawn = [re.search("[│┤](.*?)([│├]|$)", line)[1] for line in rows]
    assert rows[0].startswith("4 ┤") and rows[-1].startswith("1 ┤")
    assert drawn[0].strip() and drawn[-1].strip()
    middle = len(drawn[0].rstrip()) - 1
    assert middle < len(drawn[-1].rstrip()) - 1  # the highest comes before the lowest


@pytest.mark.parametrize("columns", [20, 60, 80, 200, None])
def test_a_chart_is_as_wide_as_the_terminal_and_80_columns_in_a_pipe(show, columns):
    many = [history(np.linspace(9, 2, 300), [(100, 3.0), (300, 2.0)], name) for name in ("a", "b")]

    found = show(*many, columns=columns)
    chart = found[: found.index(next(line for line in found if line.endswith("steps"))) + 1]

    width = max(map(len, chart))
    expected = max(30, columns or 80)
    assert expected - 3 <= width <= expected
    assert not any("\x1b" in line for line in chart)
    assert max(map(len, found)) <= expected


def test_every_run_has_its_letter_at_its_end_and_in_the_legend_and_the_table(show):
    runs = [history([5, 5, 5], [(1, high), (3, high)], f"run{high}") for high in (2, 3, 4)]

    found = show(*runs)

    drawn = [line for line in found if "│" in line or "┤" in line]
    ends = [line.rstrip()[-1] for line in drawn if line.rstrip()[-1] in "ABC"]
    assert ends == ["C", "B", "A"]
    (legend,) = [line for line in found if "training" in line]
    assert legend.split("   ")[:3] == ["A run2", "B run3", "C run4"]
    assert [line.split()[:2] for line in found[-4:-1]] == [
        ["A", "run2"],
        ["B", "run3"],
        ["C", "run4"],
    ]


def test_runs_are_told_apart_by_letters_where_colours_begin_again(show):
    runs = [history([5, 5], [(1, n), (2, n)], f"run{n}") for n in range(1, len(COLOURS) + 2)]

    text = "\n".join(show(*runs, columns=120))

    assert "A run1" in text and "G run7" in text


def test_one_run_is_shown_in_perplexities_too(show):
    alone = show(history([2.0, 1.0, 3.0]))
    two = show(history([2.0, 1.0, 3.0]), history([2.0, 1.0, 3.0]))

    assert alone[0].endswith("perplexity") and any(line.endswith("├ 7.39") for line in alone)
    assert "perplexity" not in two[0]


def test_the_table_has_the_figures_of_a_run_and_leaves_out_what_there_is_not(show):
    reports = (
        Report(step=1000, tokens=64_000, seconds=32.0, loss=2.5),
        Report(step=900, valid_nats=2.125),
        Report(step=2000, tokens=128_000, seconds=64.0, loss=2.25),
    )

    full = show(History(Path("full"), reports))
    bare = show(history([2.5], name="bare"))

    assert full[-2].split() == ["full", "2,000", "64", "2.1250", "900", "2.2500", "2,000"]
    assert bare[-2].split() == ["bare", "1", "0", "2.5000"]


def test_what_is_above_the_chart_is_said(show):
    found = show(history([9.0, *np.linspace(3, 2, 99)]))

    assert "values up to 9 are above the chart; --no-zoom shows them" in found


@pytest.mark.parametrize("losses", [[2.5], [2.5, 2.5, 2.5], [0.0], [1e30, 1.0], [1e-30, 1e-31]])
def test_single_constant_and_extreme_values_are_drawn(show, losses):
    found = show(history(losses), view=View(smooth=1, zoom=False))

    drawn = [line for line in found if "│" in line or "┤" in line]
    assert sum(line.count("A") for line in drawn) >= 1


def test_colours_and_faint_training_are_on_a_terminal_only(show, monkeypatch):
    run = history([3, 2, 1], [(1, 3.0), (3, 2.0)])
    coloured = "\n".join(
        show(run, styles=True, NO_COLOR="", FORCE_COLOR="1", TERM="xterm-256color")
    )
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS", "LINES", "TERM"):
        monkeypatch.delenv(name)

    assert "\x1b[1;36m" in coloured and "\x1b[2;36m" in coloured
    assert not any("\x1b" in line for line in show(run, columns=None))


def test_names_with_brackets_are_not_read_as_markup(show):
    assert any("[bold]x[/]" in line for line in show(history([2, 1], name="[bold]x[/]")))


numbers = st.floats(1e-6, 1e6)


@given(
    y=st.lists(numbers, min_size=1, max_size=20),
    last=st.floats(1, 1e9),
    width=st.integers(30, 120),
    height=st.integers(8, 24),
    log=st.sampled_from([None, "x", "y", "xy"]),
)
@settings(max_examples=60)
def test_no_line_is_wider_than_the_chart_and_axes_are_labelled(y, last, width, height, log):
    x = np.linspace(last / 2, last, len(y))
    curves = [Curve(0, "training", x, np.array(y))]
    chart: Chart = make_chart(curves, View(log=log, zoom=False))

    found = lines_of(chart, width, height)

    assert len(found) == height + 4
    assert max(map(len, found)) <= width
    assert sum("┤" in line for line in found) >= 1
    numbers = found[-2].split()
    assert found[-3].count("┬") >= len(numbers) >= 1
