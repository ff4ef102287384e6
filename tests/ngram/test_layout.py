"""The numbering of n-grams: contexts end at `<start>`, and 64 bits are enough or it is said."""

import numpy as np
import pytest

from charlm.errors import ConfigError
from charlm.ngram.layout import contexts_before, ngram_keys

START = 3


def test_each_token_follows_the_ngram_that_ends_before_it_in_its_frame():
    tokens = np.array([START, 0, 4, START, 1, 1])
    endings = np.array([10, 11, 12, 13, 14, 15])

    assert contexts_before(endings, tokens, START).tolist() == [-1, 10, 11, -1, 13, 14]
    assert endings.tolist() == [10, 11, 12, 13, 14, 15]


def test_a_text_of_no_tokens_has_no_contexts():
    nothing = np.zeros(0, np.int64)

    assert contexts_before(nothing, nothing, START).tolist() == []


def test_keys_run_by_context_then_token_and_are_negative_without_a_context():
    contexts, tokens = np.array([0, 0, 1, 2, -1]), np.array([0, 5, 0, 3, 5])

    assert ngram_keys(contexts, tokens, 6).tolist() == [0, 5, 6, 15, -1]


def test_the_largest_key_is_right_and_one_context_more_is_refused():
    vocab_size = 2**31
    contexts = np.array([2**32 - 2])

    (key,) = ngram_keys(contexts, np.array([vocab_size - 1]), vocab_size).tolist()

    assert key == (2**32 - 2) * vocab_size + vocab_size - 1
    with pytest.raises(ConfigError, match="smaller vocabulary or a lower order"):
        ngram_keys(contexts + 1, np.array([0]), vocab_size)
