"""Texts painted by surprisal: text and bars stay beneath each other."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from charlm.api import Shade
from charlm.display.heatmap import (
    BARS,
    LINE_BREAK,
    STYLES,
    bar_height,
    cells,
    legend,
    rows,
    show_heatmap,
)

FRAGMENTS = [
    "the",
    " fox",
    "\t",
    "\n",
    "\r\n",
    "朝",
    "한국",
    "กำ",
    "e\u0301",
    "\u0301",
    "👩‍👧",
    "🇩🇪",
]
FRAGMENTS += [
    "👍🏽",
    "❤️",
    "\x1b[31m",
    "\0",
    "\udcff",
    "\xa0",
    "\u3000",
    "\u202e",
    "\u2028",
    "می\u200cخ",
]
texts = st.text(min_size=1, max_size=4) | st.sampled_from(FRAGMENTS)
shade_lists = st.lists(st.builds(Shade, text=texts, bits=st.none() | st.floats(0, 30)), max_size=12)


@pytest.fixture
def paint(monkeypatch, capsys):
    """Show shades on a terminal without colours, so many columns wide; the lines."""

    def paint(shades, columns=60, bits_per_bar=1, **settings):
        terminal = {"TTY_COMPATIBLE": "1", "TERM": "xterm", "NO_COLOR": "1", "COLUMNS": columns}
        for name, value in terminal.items():
            monkeypatch.setenv(name, str(value))
        show_heatmap([("a.txt", shades)], bits_per_bar=bits_per_bar, **settings)
        return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).split("\n")

    return paint


def test_bars_stand_beneath_the_text_and_a_legend_explains_them(paint):
    found = paint([Shade("The", 7.5), Shade(" ", None), Shade("fox", 0.5), Shade(".", 2.0)])

    assert found == [
        "The fox.",
        "███ ▁▁▁▃",
        "",
        "bits  ▁ 0+  ▂ 1+  ▃ 2+  ▄ 3+  ▅ 4+  ▆ 5+  ▇ 6+  █ 7+ ",
        "",
    ]


def test_line_breaks_that_are_tokens_are_seen_and_others_are_not(paint):
    found = paint([Shade("a", 1.0), Shade("\n", 3.0), Shade("b", 1.0), Shade("\r\n\n", None)])

    assert found[:4] == ["a↵", "▂▄", "b", "▂"]
    assert found[4:6] == ["", ""]


def test_wide_characters_marks_and_tabs_keep_text_and_bars_together(paint):
    shades = [Shade("朝", 1.0), Shade("e\u0301", 2.0), Shade("\t", 3.0), Shade("\x07", 7.0)]

    text, bars, *_ = paint(shades)

    assert text == "朝e\u0301⇥   \\x07"
    assert bars == "▂▂▃▄▄▄▄████"


def test_a_mark_that_is_a_token_of_its_own_raises_the_bar_of_what_it_is_on(paint):
    text, bars, *_ = paint([Shade("e", 1.0), Shade("\u0301", 5.0), Shade("a", 0.0)])

    assert (text, bars) == ("e\u0301a", "▆▁")


def test_a_mark_on_nothing_is_on_a_dotted_circle(paint):
    text, bars, *_ = paint([Shade("\u0301", 2.0), Shade("a", 0.0)])

    assert (text, bars) == ("◌\u0301a", "▃▁")


def test_long_lines_are_broken_between_words_and_their_bars_with_them(paint):
    shades = [Shade(word, 1.0 + index) for index, word in enumerate(["The ", "fox ", "sat. "])]

    assert paint(shades, columns=10)[:4] == ["The fox ", "▂▂▂▂▃▃▃▃", "sat. ", "▄▄▄▄▄"]
    assert paint([Shade("abcdef", 0.0)], columns=4)[:4] == ["abcd", "▁▁▁▁", "ef", "▁▁"]


def test_rows_of_an_endless_line_come_as_soon_as_they_are_full():
    read = []

    def endless():
        while True:
            read.append(None)
            yield Shade("fox ", 1.0)

    found = rows(cells(endless(), 1), 20)

    for number in range(1, 6):
        assert "".join(cell.text for cell in next(found)) == "fox " * 5
        assert len(read) == 5 * number + 1


def test_blank_lines_are_rows_and_a_line_that_just_fits_has_no_second_one(paint):
    assert [len(row) for row in rows(cells([Shade("\n\nabcd\n", None)], 1), 4)] == [0, 0, 4]


def test_a_pipes_lines_are_cut_as_wide_as_its_tables_are(capsys):
    show_heatmap([("a", [Shade("fox " * 100, 1.0)])], bits_per_bar=1)

    text, bars, *_ = capsys.readouterr().out.split("\n")
    assert (text, bars) == ("fox " * 40, "▂" * 160)


def test_a_text_is_named_where_there_are_several(paint):
    assert paint([Shade("a", 0.0)], names=True)[0] == "a.txt"


@given(shades=shade_lists, width=st.integers(8, 40))
@settings(max_examples=100)
def test_rows_fit_the_terminal_and_bars_are_as_wide_as_the_text(shades, width):
    found = list(cells(shades, 1))
    parts = list(rows(found, width))

    assert [cell for part in parts for cell in part] == [c for c in found if c is not LINE_BREAK]
    for part in parts:
        text = "".join(cell.text for cell in part)
        bars = "".join(cell.bar for cell in part)
        assert cell_len(bars) == sum(cell.width for cell in part) <= width or len(part) == 1
        assert "\n" not in text
        assert all(c.isprintable() or c in " \xa0\u3000\u200c\u200d" or cell_len(c) for c in text)


@given(shades=shade_lists)
@settings(max_examples=100)
def test_every_line_of_the_text_is_a_line(shades):
    text = "".join(shade.text for shade in shades)

    found = list(rows(cells(shades, 1), 10**6))

    assert len(found) - text.count("\n") in (0, 1)
    assert bool(text.rpartition("\n")[2].strip("\r")) <= len(found) - text.count("\n")


@given(st.floats(0, 1e4), st.sampled_from([1, 2, 3]))
def test_a_bar_stands_for_the_bits_the_legend_says(bits, bits_per_bar):
    height = bar_height(bits, bits_per_bar)

    assert 0 <= height < len(BARS)
    assert height * bits_per_bar <= bits
    assert height == len(BARS) - 1 or bits < (height + 1) * bits_per_bar


def test_endless_surprisal_has_the_highest_bar_and_none_the_lowest():
    assert bar_height(float("inf"), 2) == len(BARS) - 1
    assert bar_height(-1e-12, 2) == 0


def test_shades_change_with_the_bars_and_are_those_of_the_legend():
    line = legend(2)

    assert line.plain.startswith("bits  ▁ 0+  ▂ 2+ ")
    assert [str(span.style) for span in line.spans] == list(STYLES)
    first = list(dict.fromkeys(STYLES))
    assert len(first) == 6
    assert sorted(STYLES, key=first.index) == list(STYLES)


def test_colours_are_put_on_a_terminal_only(paint, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    show_heatmap([("a", [Shade("The", 9.0), Shade(" x", 0.0)])], bits_per_bar=1)
    coloured = capsys.readouterr().out
    assert re.search(r"\x1b\[[0-9;]*48;5;\d+mThe\x1b", coloured)
    assert Text.from_ansi(coloured).plain.splitlines()[:2] == ["The x", "███▁▁"]

    monkeypatch.delenv("FORCE_COLOR")
    show_heatmap([("a", [Shade("The", 9.0)])], bits_per_bar=1)
    assert "\x1b" not in capsys.readouterr().out
