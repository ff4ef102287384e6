"""Tables of evaluations: whole names, whole numbers, and what can be said of a difference."""

import math
from dataclasses import dataclass, replace

import pytest

from charlm.api import Comparison, Measured
from charlm.display import evaluation as display
from charlm.display.evaluation import (
    CHIEF,
    EXPLAINED,
    difference_lines,
    show_comparison,
    show_evaluation,
    show_texts,
)
from charlm.evaluation import MEASURES, Difference, Evaluation

FOUND = Evaluation(
    total_nats=10.0,
    total_nats_other=1.0,
    sum_squared_nats=30.0,
    num_tokens=5,
    num_other=0,
    num_stop=1,
    num_words=4,
    num_chars=20,
    num_bytes=21,
)
LARGE = replace(FOUND, total_nats=123_456_789.0, num_tokens=45_678_901, num_chars=223_456_789)
ONLY_STOP = replace(FOUND, num_tokens=1, num_other=1, num_words=0, num_chars=0, num_bytes=0)
FINGERPRINT = "vocabulary:word-2094-7e7c455d|text:6183086f3381|rules:paragraph-stream-1"
BETTER = Difference(value=-0.5, low=-0.75, high=-0.25)
UNCLEAR = Difference(value=-0.5, low=-0.75, high=0.25)
UNTOLD = Difference(value=-0.5, low=math.nan, high=math.nan)
COMPARISON = Comparison(
    comparable=True,
    same_text=True,
    nats_per_token=BETTER,
    bits_per_char=UNCLEAR,
    unit="frames",
    num_units=1234,
)


@dataclass
class Account:
    """What the table asks an account for."""

    name: str
    measured: tuple[Measured, ...]

    @property
    def together(self):
        return self.measured[0]


def measured(text="tale.txt", found=FOUND, fingerprint=FINGERPRINT):
    return Measured(text=text, evaluation=found, fingerprint=fingerprint)


@pytest.fixture
def width(monkeypatch):
    """Show on a terminal so wide."""

    def of(columns):
        console = display.data_console()
        console.width = columns
        monkeypatch.setattr(display, "data_console", lambda: console)

    return of


# -- one text ---------------------------------------------------------------------------------


def test_every_measure_is_shown_and_explained(capsys):
    show_evaluation(measured(), "a model")

    out = capsys.readouterr().out
    assert set(EXPLAINED) == set(MEASURES)
    assert out.startswith("a model on tale.txt\n")
    assert "7.3891" in out  # e ** 2
    assert all(f" {name} " in out for name in MEASURES)
    assert out.endswith(f"fingerprint {FINGERPRINT}\n")


def test_standard_input_is_called_so(capsys):
    show_evaluation(measured("-"), "a model")

    assert capsys.readouterr().out.startswith("a model on standard input\n")


@pytest.mark.parametrize("found", [FOUND, LARGE, ONLY_STOP], ids=["small", "large", "one token"])
def test_on_80_columns_each_measure_has_a_line(capsys, width, found):
    width(80)

    show_evaluation(measured(found=found), "a model")

    table = capsys.readouterr().out.split("fingerprint")[0].splitlines()
    assert all(len(line) <= 80 for line in table)
    assert sum(bool(line.strip()) for line in table) == len(MEASURES) + 3  # title, heading, rule
    assert "…" not in "".join(table)


def test_what_cannot_be_counted_is_nan(capsys):
    show_evaluation(measured(found=ONLY_STOP), "a model")

    lines = {
        line.split()[0]: line.split()[1] for line in capsys.readouterr().out.splitlines()[4:19]
    }
    nameless = {name for name, value in lines.items() if value == "nan"}
    assert nameless == {
        "perplexity_excluding_other",
        "ppl1",
        "bits_per_char",
        "bits_per_byte",
        "standard_error",
    }


def test_what_stands_in_brackets_is_no_markup(capsys):
    show_evaluation(measured("[red]tale[/].txt"), "[bold]model")

    assert capsys.readouterr().out.startswith("[bold]model on [red]tale[/].txt\n")


# -- several texts ----------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 120, 160])
def test_several_texts_are_lines_and_all_of_them_the_last(capsys, width, columns):
    width(columns)
    texts = [measured(), measured("-", ONLY_STOP), measured("a long name of a text.txt", LARGE)]

    show_texts([*texts, measured("all texts", FOUND + LARGE + ONLY_STOP)], "a model")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "a model"
    assert all(len(line) <= columns for line in lines)
    assert "…" not in "".join(lines)
    for heading in " ".join(CHIEF.values()).split():
        assert any(heading in line for line in lines[:5])
    begins = [line.split()[0] for line in lines if line.strip() and line.startswith("  ")]
    assert begins.index("tale.txt") < begins.index("standard") < begins.index("all")
    assert any(line.split()[-3:] == ["45,678,907", "1", "8"] for line in lines[-4:])


# -- several models ---------------------------------------------------------------------------


def accounts(*names, text="tale.txt", fingerprints=(FINGERPRINT,) * 9, found=(FOUND,) * 9):
    return [
        Account(name, (measured(text, evaluation, fingerprint),))
        for name, fingerprint, evaluation in zip(names, fingerprints, found, strict=False)
    ]


def test_models_stand_side_by_side_under_the_names_of_the_texts(capsys):
    both = accounts("one", "two", found=(FOUND, LARGE))
    both[0].measured += (measured("-"),)

    show_comparison(both, [COMPARISON])

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "on tale.txt, standard input"
    assert lines[2].split() == ["measure", "one", "two"]
    shown = [line.split()[0] for line in lines[4 : 4 + len(MEASURES)]]
    assert shown == list(MEASURES)
    assert lines[4].split()[1:] == [f"{FOUND.perplexity:.4f}", f"{LARGE.perplexity:.4f}"]


@pytest.mark.parametrize("columns", [80, 120])
def test_three_long_names_are_whole_on_a_narrow_terminal(capsys, width, columns):
    width(columns)
    names = [f"checkpoints/a-really-long-name-of-a-checkpoint-{n}-2024-11-21" for n in "abc"]

    show_comparison(accounts(*names, found=(FOUND, LARGE, ONLY_STOP)), [COMPARISON] * 2)

    table = capsys.readouterr().out.split(f"{names[1]}, compared")[0]
    lines = table.splitlines()
    assert all(len(line) <= columns for line in lines)
    assert "…" not in table
    headings = [line for line in lines if line.strip()][1:]
    heading = headings[: next(i for i, line in enumerate(headings) if "─" in line)]
    columns_of = list(
        zip(*(line.removeprefix("  measure").split() for line in heading[-3:]), strict=True)
    )
    for name, parts in zip(names, columns_of, strict=True):
        assert name.endswith("".join(parts))
    assert all(any(line.startswith(f"  {name} ") for line in lines) for name in MEASURES)


def test_a_clear_difference_is_better_or_worse():
    lines = difference_lines(COMPARISON)

    assert lines == [
        "nats per token -0.5000 (95% -0.7500 to -0.2500): better",
        "perplexity x 0.6065 (95% 0.4724 to 0.7788)",
        "bits per character -0.5000 (95% -0.7500 to +0.2500): no clear difference",
        "paired bootstrap over 1,234 frames",
    ]
    worse = replace(BETTER, value=0.5, low=0.25, high=0.75)
    assert difference_lines(replace(COMPARISON, nats_per_token=worse))[0].endswith(": worse")


def test_of_a_text_too_short_there_is_no_interval_to_show():
    lines = difference_lines(replace(COMPARISON, nats_per_token=UNTOLD, bits_per_char=UNTOLD))

    assert lines == [
        "nats per token -0.5000: the text is too short to tell",
        "perplexity x 0.6065",
        "bits per character -0.5000: the text is too short to tell",
    ]


@pytest.mark.parametrize("nats", [None, BETTER])
def test_under_other_rules_only_bits_per_character_are_compared(nats):
    lines = difference_lines(replace(COMPARISON, comparable=False, nats_per_token=nats))

    assert lines[0] == "not the same vocabulary or rules: only bits per character compare."
    assert lines[1].startswith("bits per character")
    assert not any(line.startswith(("perplexity", "nats")) for line in lines)


def test_of_different_texts_nothing_is_compared():
    lines = difference_lines(replace(COMPARISON, same_text=False))

    assert lines == ["they have not read the same text: nothing compares."]


def test_equal_fingerprints_are_shown_once_and_others_with_their_models(capsys):
    show_comparison(accounts("one", "two"), [COMPARISON])
    assert capsys.readouterr().out.count("fingerprint") == 1

    other = FINGERPRINT.replace("word", "char")
    different = replace(COMPARISON, comparable=False)
    show_comparison(accounts("one", "two", fingerprints=(FINGERPRINT, other)), [different])
    out = capsys.readouterr().out
    assert f"fingerprint {FINGERPRINT} (one)\nfingerprint {other} (two)\n" in out


def test_a_model_that_leaves_words_unspelt_is_named_where_bits_are_compared(capsys):
    found = (replace(FOUND, num_other=3), FOUND)
    warning = "one is not asked to spell 3 unknown words or characters"

    show_comparison(accounts("one", "two", found=found), [COMPARISON])
    assert warning not in capsys.readouterr().out  # both leave the same ones

    show_comparison(accounts("one", "two", found=found), [replace(COMPARISON, comparable=False)])
    out = capsys.readouterr().out
    assert warning in out
    assert "two is not asked" not in out


def test_nothing_is_wrapped_or_coloured_in_a_pipe(capsys):
    names = [f"checkpoints/a-really-long-name-of-a-checkpoint-{n}-2024-11-21" for n in "ab"]

    show_comparison(accounts(*names), [COMPARISON])

    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert f"{names[1]}, compared with {names[0]}:\n" in out
    assert all(name in out.splitlines()[2] for name in names)
