"""Scores on a terminal: aligned, and no wider than it."""

import pytest
from rich.cells import cell_len

from charlm.cli.score import NAMES
from charlm.display.scores import BLOCK, aligned

TOKENS = [
    {"sentence_id": 1, "token_id": 1, "token": "The", "surprisal": 3.14159, "entropy": 2.0},
    {"sentence_id": 1, "token_id": 12, "token": "猫", "surprisal": 12.5, "entropy": None},
    {"sentence_id": 1, "token_id": 13, "token": "a\nb", "surprisal": 0.001, "rank": 10_000},
]
SENTENCES = [
    {"sentence_id": 1, "num_tokens": 9, "surprisal": 30.25, "other": 0, "text": "The fox ate. " * 9}
]


def test_columns_are_aligned_and_white_space_is_seen():
    lines = list(aligned(("token_id", "token", "surprisal"), TOKENS, 80))

    assert lines == [
        "no  token   bits",
        " 1  The     3.14",
        "12  猫     12.50",
        "13  a↵b     0.00",
    ]


@pytest.mark.parametrize("width", [200, 80, 40, 30])
@pytest.mark.parametrize(("by", "rows"), [("token", TOKENS), ("sentence", SENTENCES)])
def test_no_line_is_wider_than_the_terminal(width, by, rows):
    lines = list(aligned((*NAMES[by], "file"), rows, width))

    assert len(lines) == len(rows) + 1
    assert all(cell_len(line) <= width for line in lines)
    assert "bits" in lines[0]
    assert ("token" if by == "token" else "text") in lines[0]


def test_all_columns_are_shown_where_there_is_room():
    lines = list(aligned(NAMES["token"], TOKENS, 200))

    assert lines[0].split() == [
        "sent",
        "no",
        "token",
        "bits",
        "entropy",
        "rank",
        "other",
        "from",
        "to",
    ]


def test_rows_with_more_digits_later_stay_within_the_width():
    rows = [
        {"token_id": number, "token": "x" * 60, "surprisal": 1.0} for number in range(BLOCK * 12)
    ]

    lines = list(aligned(("token_id", "token", "surprisal"), rows, 40))

    assert all(cell_len(line) <= 40 for line in lines)
    assert lines[-1].split()[0] == str(BLOCK * 12 - 1)


def test_no_rows_are_headings_alone():
    assert list(aligned(("token", "surprisal"), [], 80)) == ["token  bits"]


def test_words_of_later_rows_are_whole_where_there_is_room():
    words = ["a"] * BLOCK + ["a long word"] * BLOCK + ["x" * 99]

    rows = [{"token": word, "surprisal": 1.0} for word in words]
    lines = list(aligned(("token", "surprisal"), rows, 40))

    assert lines[-2].startswith("a␣long␣word ")
    assert all(cell_len(line) <= 40 for line in lines)


def test_empty_columns_are_left_out_before_others():
    rows = [{"token": "a" * 12, "surprisal": 1.0, "char_end": 1, "entropy": None}]

    headings, _ = aligned(("token", "surprisal", "char_end", "entropy"), rows, 22)
    assert headings.split() == ["token", "bits", "to"]
