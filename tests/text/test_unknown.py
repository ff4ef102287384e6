"""When so much of a text is `<other>` that its figures mislead."""

import pytest

from charlm.text import other_note


@pytest.mark.parametrize(("num_other", "told"), [(0, False), (20, False), (21, True), (100, True)])
def test_more_than_a_fifth_of_other_is_told(num_other, told):
    assert (other_note("a.txt", num_other, 100, "word") is not None) is told


def test_no_tokens_are_not_too_many():
    assert other_note("a.txt", 0, 0, "word") is None


@pytest.mark.parametrize(
    ("level", "instead"),
    [("word", "--level bpe or --level char"), ("char", "--level bpe or --level byte")],
)
def test_the_note_says_what_misleads_and_what_to_use(level, instead):
    note = other_note("a.txt", 61, 100, level)

    assert note is not None
    assert note.startswith("61% of the tokens of a.txt are <other>: perplexity means little")
    assert "bits per character are too low" in note
    assert instead in note
