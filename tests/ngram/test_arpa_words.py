"""What a word of an ARPA file may be."""

import pytest

from charlm.errors import TextError
from charlm.ngram.arpa_words import check_words, split_fields


def test_words_of_any_script_are_fine_even_with_white_space_of_unicode():
    words = ["<s>", "</s>", "<unk>", "naïve", "朝", "10\xa0000", "\\data\\", "\x85", "'s", "-1"]

    check_words(words)

    assert split_fields(" \t".join(words) + "\r\n") == words


@pytest.mark.parametrize("word", ["", " ", "a b", "a\tb", "\n", "b\r", "a\0b"])
def test_a_word_that_would_be_read_as_another_is_refused(word):
    with pytest.raises(TextError, match="white space divides words"):
        check_words(["<s>", word])


def test_a_word_that_stands_for_two_tokens_is_refused():
    with pytest.raises(TextError, match="two tokens of the vocabulary are written 'fox'"):
        check_words(["fox", "<s>", "moon", "fox"])
