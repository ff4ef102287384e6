"""Texts with what else might have been written, painted."""

import io
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from charlm.api import Choice, Generation
from charlm.display.alternatives import (
    BAR,
    SHADES,
    legend,
    percent,
    shade,
    show_alternatives,
    table,
)
from charlm.display.tables import visible

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
PAINTED = re.compile(r"\x1b\[([0-9;]*)m([^\x1b]*)\x1b\[0m")
LOG_HALF, LOG_QUARTER = math.log(0.5), math.log(0.25)


def choice(token, probability=0.5, alternatives=()):
    pairs = tuple((other, math.log(p)) for other, p in alternatives)
    return Choice(token=token, log_prob=math.log(probability), alternatives=pairs)


def generation(*choices, prompt="The ", end="length"):
    text = "".join(c.token for c in choices)
    return Generation(prompt, text, tuple(range(len(choices))), end, choices=choices)


@pytest.fixture
def terminal(monkeypatch):
    """A terminal with colours, so many columns wide."""

    def open_terminal(columns=120):
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name, value in (
            ("TTY_COMPATIBLE", "1"),
            ("FORCE_COLOR", "1"),
            ("TERM", "xterm-256color"),
            ("COLUMNS", str(columns)),
        ):
            monkeypatch.setenv(name, value)

    return open_terminal


@given(st.floats(-1e4, 0))
@settings(max_examples=200)
def test_a_percentage_is_the_probability_and_never_none_or_all_of_it(log_prob):
    shown = percent(log_prob)

    share = 100 * math.exp(log_prob)
    if shown == "<0.1%":
        assert share < 0.1
    else:
        assert re.fullmatch(r"\d{1,2}\.\d%", shown)
        assert 0.1 <= float(shown[:-1]) <= 99.9
        assert abs(float(shown[:-1]) - share) <= 0.1001


@pytest.mark.parametrize(
    ("probability", "shown"),
    [
        (1.0, "99.9%"),
        (0.9999, "99.9%"),
        (0.5, "50.0%"),
        (0.1234, "12.3%"),
        (0.001, "0.1%"),
        (0.00099, "<0.1%"),
        (1e-300, "<0.1%"),
    ],
)
def test_percentages_have_one_place_after_the_point(probability, shown):
    assert percent(math.log(probability)) == shown


@given(st.floats(-800, 0))
@settings(max_examples=100)
def test_a_shade_is_the_last_whose_probability_is_reached(log_prob):
    reached = [style for least, style in SHADES if math.exp(log_prob) >= least]

    assert shade(log_prob) == reached[-1]
    assert shade(-math.inf) == SHADES[0][1] and shade(0.0) == SHADES[-1][1]


def test_shades_rise_and_each_has_text_that_stands_out():
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    least = [probability for probability, _ in SHADES]
    pairs = [style.split(" on ") for _, style in SHADES]
    backgrounds = [luminance(background) for _, background in pairs]
    contrasts = [
        (max(luminance(text), back) + 0.05) / (min(luminance(text), back) + 0.05)
        for (text, _), back in zip(pairs, backgrounds, strict=True)
    ]

    assert least == sorted(set(least)) and least[0] == 0
    assert backgrounds == sorted(backgrounds)
    assert min(contrasts) >= 4.5  # WCAG 2.1, level AA


def test_the_legend_has_each_shade_with_its_probability():
    line = legend()

    painted = [(line.plain[span.start : span.end].strip(), str(span.style)) for span in line.spans]
    assert painted == [(f"{least:.0%}+", style) for least, style in SHADES]


def test_the_table_has_a_line_a_token_with_its_rivals(capsys):
    show_alternatives(
        [
            generation(
                choice("f", 0.25, [("t", 0.5), ("f", 0.25), ("\n", 0.125)]),
                choice("ox", 0.9, [("ox", 0.9), (" ", 0.05)]),
            )
        ]
    )

    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "f 25.0% ██ t 50.0% f 25.0% ↵ 12.5%" in rows
    assert "ox 90.0% █████████ ox 90.0% ␣ 5.0%" in rows


@pytest.mark.parametrize("probability", [0.04, 0.06, 0.34, 0.5, 0.96, 1.0])
def test_a_bar_is_as_long_as_the_probability(probability):
    lines = table([choice("x", probability)], 80)

    (bar,) = lines.columns[2].cells
    assert bar == "█" * round(BAR * probability)


def test_the_token_that_was_written_is_underlined_among_its_rivals_alone():
    lines = table([choice("f", 0.25, [("t", 0.5), ("f", 0.25), ("ff", 0.1)])], 80)

    (rivals,) = lines.columns[3].cells
    marked = [rivals.plain[s.start : s.end] for s in rivals.spans if "underline" in str(s.style)]
    assert marked == ["f"]


@pytest.mark.parametrize("width", range(40, 100))
def test_no_rival_is_cut_on_a_narrow_terminal(width):
    rivals = [("t", 0.5), ("日本", 0.25), ("\n", 0.1), ("ü", 0.05), ("ox", 0.01)]
    console = Console(width=width, file=io.StringIO())
    console.print(table([choice("f", 0.25, rivals), choice("日本", 0.99, rivals)], width))

    printed = console.file.getvalue()
    for token, probability in rivals:
        assert printed.count(f"{visible(token)} {100 * probability:.1f}%") == 2, printed
    assert max(cell_len(line) for line in printed.splitlines()) <= width


def test_the_sum_of_log_p_and_the_end_are_told(capsys):
    first = generation(choice("a", 0.5), choice("<stop>", 0.25), end="<stop>")
    second = generation(choice("b", 0.5), end="stop string")

    show_alternatives([first, second])

    out = capsys.readouterr().out
    assert f"log P {LOG_HALF + LOG_QUARTER:.3f} nats, 2 tokens, ended by <stop>" in out
    assert f"log P {LOG_HALF:.3f} nats, 1 token, ended by stop string" in out


def test_off_a_terminal_there_is_no_colour_and_no_legend_of_colours(capsys):
    show_alternatives([generation(choice("f", 0.25, [("t", 0.5), ("f", 0.25)]))])

    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.startswith("The f\n")
    assert "80%+" not in out


def test_without_colour_on_a_terminal_there_is_no_legend_of_colours(terminal, capsys, monkeypatch):
    terminal()
    monkeypatch.delenv("FORCE_COLOR")
    monkeypatch.setenv("NO_COLOR", "1")

    show_alternatives([generation(choice("f", 0.25, [("t", 0.5)]))])

    out = capsys.readouterr().out
    assert "25.0%" in out
    assert "[38;" not in out and "80%+" not in ESCAPE.sub("", out)


def test_on_a_terminal_the_prompt_is_dim_and_each_token_has_its_shade(terminal, capsys):
    terminal()

    show_alternatives([generation(choice("f", 0.95), choice("x", 0.001))])

    line = capsys.readouterr().out.splitlines()[0]
    assert ESCAPE.sub("", line) == "The fx"
    painted = PAINTED.findall(line)
    assert [text for _, text in painted] == ["The ", "f", "x"]
    assert painted[0][0] == "2"
    codes = [code.split(";") for code, _ in painted[1:]]
    assert all("48" in code and "2" not in code[:1] for code in codes)  # a background, and not dim
    assert codes[0] != codes[1]


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_figures_stay_whole_however_narrow_the_terminal_is(terminal, capsys, columns):
    terminal(columns)
    words = [(f"alternative{i}", 0.1) for i in range(5)]

    show_alternatives([generation(choice("wonderful", 0.42, words), choice("x", 0.001, words))])

    lines = ESCAPE.sub("", capsys.readouterr().out).splitlines()
    assert all(len(line) <= columns for line in lines)
    (row,) = [line for line in lines if line.split()[:1] == ["wonderful"]]
    assert "42.0%" in row and "████" in row and "alternative0 10.0%" in row


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\r", "\x08", "\x9b", "\x00", "\u202e"])
def test_control_characters_never_reach_the_terminal(capsys, character):
    shown = choice(character, 0.5, [(character, 0.5), (f"a{character}b", 0.25)])

    show_alternatives([generation(shown, prompt=f"The {character}[31m")])

    out = capsys.readouterr().out
    assert character not in out
    assert character.encode("unicode_escape").decode() in out


def test_what_looks_like_markup_is_text(capsys):
    show_alternatives(
        [generation(choice("[red]", 0.5, [("[/red]", 0.5)]), prompt="[bold]", end="length")]
    )

    out = capsys.readouterr().out
    assert out.startswith("[bold][red]\n")
    assert "[/red] 50.0%" in out


def test_a_text_without_tokens_is_shown(capsys):
    show_alternatives([generation(prompt="The fox")])

    out = capsys.readouterr().out
    assert out.startswith("The fox\n")
    assert "log P 0.000 nats, 0 tokens" in out
