"""Minimal pairs as a table."""

import re

import numpy as np
import pytest

from charlm.display.pairs import show_pairs
from charlm.evaluation import score_pairs

GOOD, BAD = np.array([-1.0, -3.0, -2.0, -2.0]), np.array([-2.0, -1.0, -2.0, -6.0])


def rows(out):
    return [line.split() for line in out.splitlines() if "%" in line]


def test_each_group_has_a_row_and_so_have_all_together(capsys):
    show_pairs(score_pairs(["a", "[b]", "a", "a"], GOOD, BAD), "tale on [pairs]")

    out = capsys.readouterr().out
    assert "tale on [pairs]" in out
    assert rows(out) == [
        ["a", "3", "2", "1", "83.33%", "+2.404"],
        ["[b]", "1", "0", "0", "0.00%", "-2.885"],
        ["all", "groups", "4", "2", "1", "62.50%", "+1.082"],
    ]
    assert "a tie counts half" in out


def test_pairs_without_groups_have_one_row(capsys):
    show_pairs(score_pairs([""] * 4, GOOD, BAD), "tale")

    assert rows(capsys.readouterr().out) == [["all", "4", "2", "1", "62.50%", "+1.082"]]


@pytest.mark.parametrize("columns", [30, 40, 52, 60])
def test_a_narrow_terminal_breaks_names_and_no_figures(capsys, monkeypatch, columns):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(columns))
    name = "a_long_name_of_a_group" * 2
    show_pairs(score_pairs([name] * 4, GOOD, BAD), "tale")

    out = capsys.readouterr().out
    assert out.count("62.50%") == 2
    assert out.count("+1.082") == 2
    table = re.sub(r"\x1b\[[0-9;]*m", "", out).split("accuracy:")[0]
    assert all(len(line) <= columns or line == name for line in table.splitlines())
    names = [word for line in table.splitlines() for word in line.split()[:1]]
    assert name in "".join(names)
