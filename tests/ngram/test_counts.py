"""N-grams of each order against a window slid along each frame."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.ngram.counts import count_ngrams

START, STOP, VOCAB_SIZE = 3, 4, 6
frames = st.lists(st.sampled_from([0, 0, 1, 2, 5]), max_size=7).map(lambda f: [START, *f, STOP])
texts = st.lists(frames, max_size=8).map(lambda frames: [*chain.from_iterable(frames)])


def spelled(counted):
    """The tokens of each n-gram, order by order."""
    spelling = [(token,) for token in range(VOCAB_SIZE)]
    yield spelling
    for ngrams in counted[1:]:
        pairs = zip(ngrams.contexts.tolist(), (ngrams.keys % VOCAB_SIZE).tolist(), strict=True)
        spelling = [(*spelling[context], token) for context, token in pairs]
        yield spelling


def slide(text, order):
    windows = (tuple(text[i : i + order]) for i in range(len(text) - order + 1))
    if order == 1:
        return Counter(window for window in windows if window != (START,))
    return Counter(window for window in windows if START not in window[1:])


def count(text, order):
    return count_ngrams(text, order=order, vocab_size=VOCAB_SIZE, start_id=START)


@given(text=texts, order=st.integers(1, 5), cut=st.integers(0, 4))
@settings(max_examples=60)
def test_ngrams_are_those_a_sliding_window_sees(text, order, cut):
    text = text[cut:]  # it need not begin with `<start>`

    counted = count(text, order)

    assert len(counted) == order
    for n, (ngrams, spelling) in enumerate(zip(counted, spelled(counted), strict=True), start=1):
        found = dict(zip(spelling, ngrams.counts.tolist(), strict=True))
        assert len(found) == len(spelling)
        assert Counter(found) == slide(text, n)
        assert spelling == sorted(spelling)


@given(text=texts)
@settings(max_examples=40)
def test_a_suffix_is_the_ngram_without_its_first_token(text):
    counted = count(text, 4)

    spellings = list(spelled(counted))
    for shorter, longer, ngrams in zip(spellings, spellings[1:], counted[1:], strict=False):
        suffixes = [shorter[suffix] for suffix in ngrams.suffixes]
        assert suffixes == [ngram[1:] for ngram in longer]


def test_one_grams_are_the_whole_vocabulary():
    (ngrams,) = count([START, 0, 0, STOP], 1)

    assert ngrams.keys.tolist() == [0, 1, 2, 3, 4, 5]
    assert ngrams.counts.tolist() == [2, 0, 0, 0, 1, 0]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int64"])
def test_the_type_of_the_ids_does_not_matter(dtype):
    text = [250, *range(100, 250), 251] * 2  # keys beyond what 16 bits hold

    expected, found = (
        count_ngrams(tokens, order=3, vocab_size=252, start_id=250)
        for tokens in (text, np.array(text, dtype))
    )

    for one, other in zip(expected, found, strict=True):
        assert one.keys.tolist() == other.keys.tolist()
        assert one.counts.tolist() == other.counts.tolist()
    assert expected[2].counts.tolist() == [2] * 150


@pytest.mark.parametrize("token", [-1, VOCAB_SIZE])
def test_an_id_outside_the_vocabulary_is_a_mistake(token):
    with pytest.raises(AssertionError):
        count([START, token], 2)
