"""Word and character errors equal a plain Levenshtein distance."""

import sys
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import ConfigError
from charlm.evaluation import count_errors, count_units

TEXTS = st.text(st.sampled_from("ab \u00e4"), max_size=8)


def edits(one, other):
    """The fewest edits, by the recursion that defines them."""

    @cache
    def fewest(i, j):
        if i == 0 or j == 0:
            return i + j
        same = one[i - 1] == other[j - 1]
        return min(fewest(i - 1, j) + 1, fewest(i, j - 1) + 1, fewest(i - 1, j - 1) + (not same))

    return fewest(len(one), len(other))


@given(pairs=st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
@settings(max_examples=100)
def test_errors_are_edits_of_words_or_characters(pairs):
    hypotheses, references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    words = count_errors(hypotheses, references, "word").tolist()
    chars = count_errors(hypotheses, references, "char").tolist()

    assert words == [edits(h.split(), r.split()) for h, r in pairs]
    assert chars == [edits(h, r) for h, r in pairs]


def test_units_are_words_or_characters_with_their_spaces():
    texts = ["the  fox\u00a0ran", "", "a"]

    assert count_units(texts, "word").tolist() == [3, 0, 1]
    assert count_units(texts, "char").tolist() == [12, 0, 1]


def test_without_its_library_the_answer_is_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidfuzz.distance", None)

    with pytest.raises(ConfigError, match=r"pip install charlm\[rescore\]"):
        count_errors(["a"], ["b"], "word")
