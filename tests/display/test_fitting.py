"""Tables on narrow terminals: no figure is cut."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from charlm.api import Classified, Confusion, Filling
from charlm.display.classification import show_classified, show_confusion
from charlm.display.filling import show_fillings
from charlm.display.fitting import print_table
from charlm.display.pairs import show_pairs
from charlm.display.tables import show_checkpoints, show_ids, show_vocabulary
from charlm.evaluation import score_pairs


def lines_at(width):
    table = Table(title="scores", box=box.SIMPLE_HEAD)
    table.add_column("model")
    for heading in ("nats per\ntoken", "perplexity"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row(Text("a[b]"), "1.2345", "1,234,567.8901")
    table.add_row(Text("second"), "", "7.0")
    console = Console(file=io.StringIO(), width=width)
    print_table(console, table)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 40, 38, 37, 36, 35, 34, 30])
def test_no_figure_is_cut_and_no_line_is_too_long(width):
    lines = lines_at(width)

    assert all(len(line) <= width for line in lines)
    text = "\n".join(lines)
    assert all(part in text for part in ("a[b]", "1.2345", "1,234,567.8901", "second", "7.0"))


def test_what_is_too_wide_is_stacked_with_its_headings():
    assert "second" in lines_at(33)
    assert "  nats per token  1.2345" in lines_at(33)
    assert not any(line.startswith("  nats per token  ") for line in lines_at(80))


TEXTS = ("[/b]", "[b]", ":smile:", "a [b] c")


def show_labels():
    found = Classified(label="[/b]", probabilities=dict.fromkeys(TEXTS, 0.25), log_probs={})
    show_classified([(text, found) for text in TEXTS])


def show_pairs_of_texts():
    ones = np.ones(len(TEXTS))
    show_pairs(score_pairs(TEXTS, ones, ones), "[/b]")


FILLED = dict(log_prob=-1.0, probability=0.5, candidate_share=0.5, num_candidates=2)
USERS = {
    "vocabulary": lambda: show_vocabulary([(1, text, 3) for text in TEXTS], 12, [(1, 1.0)]),
    "ids": lambda: show_ids([(1, text) for text in TEXTS], "[/b]"),
    "checkpoints": lambda: show_checkpoints([(Path(text), {"model": "[/b]"}) for text in TEXTS]),
    "labels": show_labels,
    "confusion": lambda: show_confusion(Confusion(TEXTS, np.eye(4, dtype=int)), "[/b]"),
    "fillings": lambda: show_fillings([Filling(fillings=(t,), text=t, **FILLED) for t in TEXTS]),
    "pairs": show_pairs_of_texts,
}


@pytest.mark.parametrize("columns", [160, 40, 20])
@pytest.mark.parametrize("user", USERS)
def test_no_text_in_a_table_is_markup(capsys, monkeypatch, user, columns):
    for name, value in {"TTY_COMPATIBLE": "1", "TERM": "dumb", "COLUMNS": columns}.items():
        monkeypatch.setenv(name, str(value))

    USERS[user]()

    out = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).replace("␣", " ")
    assert all(text in out for text in TEXTS)


def test_headings_of_wide_characters_are_aligned():
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("text", "漢字", "abc"):
        table.add_column(heading, no_wrap=True)
    table.add_row("x" * 30, "1", "2")
    console = Console(file=io.StringIO(), width=20)

    print_table(console, table)

    assert console.file.getvalue().splitlines()[-2:] == ["  漢字  1", "  abc   2"]
