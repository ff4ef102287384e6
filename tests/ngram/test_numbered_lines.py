"""Lines come once, in order, and errors name the file and the line."""

import pytest

from charlm.errors import TextError
from charlm.ngram.numbered_lines import NumberedLines, quote


def test_lines_are_counted_however_they_are_taken():
    lines = NumberedLines(iter(["a\n", "\n", " \t\r\n", " b\r\n", "c", "d"]), "tale")

    assert lines.take(1) == ["a\n"]
    assert lines.number == 1
    assert lines.next_filled("anything") == "b"
    assert lines.number == 4
    assert lines.take(9) == ["c", "d"]
    assert lines.take(9) == []
    assert lines.number == 6


def test_the_end_is_an_error_where_a_line_was_expected():
    lines = NumberedLines(["\n", " "], "tale.arpa")

    with pytest.raises(TextError, match=r"tale\.arpa ends before the moon"):
        lines.next_filled("the moon")


def test_damage_is_at_the_line_read_last_or_at_a_given_one():
    lines = NumberedLines("abcd", "tale.arpa")
    lines.take(3)

    assert str(lines.damage("no fox")).startswith("tale.arpa, line 3: no fox;")
    assert str(lines.damage("no fox", 2)).startswith("tale.arpa, line 2: no fox;")


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("\\data\\", r"'\data\'"),
        ("naïve 朝", "'naïve 朝'"),
        ("a\tb\x00", r"'a\tb\x00'"),
        ("x" * 40, "'" + "x" * 40 + "'"),
        ("x" * 5000, "'" + "x" * 40 + "...'"),
    ],
)
def test_what_is_quoted_is_short_and_printable(text, quoted):
    assert quote(text) == quoted
