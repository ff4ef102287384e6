import math

import pytest

from charlm.display.tables import number, show_tokens, show_vocabulary, visible


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1234567, "1,234,567"),
        (0.123456, "0.1235"),
        (4.2, "4.2000"),
        (123456.78, "123,456.8"),
        (math.nan, "nan"),
        (math.inf, "inf"),
    ],
)
def test_numbers_are_readable(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" the", "␣the"),
        ("\n", "↵"),
        ("\t", "⇥"),
        ("\x00", "\\x00"),
        ("é", "é"),
        ("\ufeff", "\\ufeff"),
        ("\u200d", "\\u200d"),
        ("a\u200c", "a\\u200c"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # noqa: RUF001
        ("👩\u200d👧", "👩\u200d👧"),
    ],
)
def test_white_space_and_control_characters_are_made_visible(token, shown):
    assert visible(token) == shown


def test_the_vocabulary_adds_up_its_shares(capsys):
    show_vocabulary([(1, "the", 3), (2, "[red]", 1)], 8, [(1, 0.375), (2, 0.5)])

    out = capsys.readouterr().out
    assert "37.50%" in out and "12.50%" in out and "50.00%" in out
    assert "[red]" in out


def test_tokens_stand_beside_their_ids(capsys):
    show_tokens([(3, "<start>"), (0, "a b")])

    assert capsys.readouterr().out.split() == ["3", "<start>", "0", "a␣b"]
