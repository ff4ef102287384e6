"""Listed n-grams against the definition of a back-off model, read off a dictionary."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import TextError
from charlm.ngram.listed import ListedNgrams, assemble_model
from charlm.ngram.numbered_lines import NumberedLines

START, VOCAB_SIZE = 2, 4
PREDICTED = [0, 1, 3]
WEIGHTS = [-3.5, -1.25, -0.5, 0.0, 0.75, -math.inf]


def ngrams_of(order):
    return st.tuples(*[st.integers(0, VOCAB_SIZE - 1)] * order)


def listed_of(order):
    """N-grams of one order with what they have, in any order, contexts missing as it comes."""
    numbers = st.tuples(st.sampled_from([-2.25, -1.0, -0.125, -math.inf]), st.sampled_from(WEIGHTS))
    return st.dictionaries(ngrams_of(order), numbers, max_size=8)


files = st.integers(1, 4).flatmap(lambda order: st.tuples(*map(listed_of, range(1, order + 1))))
texts = st.lists(st.integers(0, VOCAB_SIZE - 1), max_size=12)


def assemble(files):
    lines = NumberedLines([], "tale.arpa")
    orders = [
        ListedNgrams(
            tokens=np.array(list(listed), np.int64).reshape(-1, order),
            log_probs=np.array([log_prob for log_prob, _ in listed.values()], np.float64),
            log_backoffs=np.array([weight for _, weight in listed.values()], np.float64),
            lines=lines,
            first_line=100 * order,
        )
        for order, listed in enumerate(files, start=1)
    ]
    return assemble_model(orders, vocab_size=VOCAB_SIZE, start_id=START)


def naive_log_prob(files, token, history):
    """As the definition reads: listed, or back off."""
    listed = files[len(history)]
    if (*history, token) in listed:
        return listed[(*history, token)][0]
    if not history:
        return -math.inf
    _, weight = files[len(history) - 1].get(history, (0.0, 0.0))
    return weight + naive_log_prob(files, token, history[1:])


def histories(text, order):
    """What is seen before each token: order - 1 tokens at most, back to `<start>` at most."""
    for end in range(len(text) + 1):
        begin = max(0, end - order + 1)
        while START in text[begin + 1 : end]:
            begin += 1
        yield tuple(text[begin:end])


@given(files=files, text=texts)
@settings(max_examples=150)
def test_probabilities_are_those_of_the_definition(files, text):
    model = assemble(files)

    seen = list(histories(text, len(files)))
    expected = [
        0.0 if token == START else naive_log_prob(files, token, history)
        for token, history in zip(text, seen, strict=False)
    ]
    assert model.log_probs(text) == pytest.approx(expected)
    rows = model.distributions(text)
    assert (rows[:, START] == -math.inf).all()
    for row, history in zip(rows, seen[1:], strict=True):
        assert row[PREDICTED] == pytest.approx(
            [naive_log_prob(files, t, history) for t in PREDICTED]
        )


def test_a_missing_context_is_added_with_what_backing_off_gives_it():
    unigrams = {(0,): (-1.0, -0.5), (1,): (-2.0, -0.25), (2,): (-9.0, 0.0), (3,): (-3.0, 0.0)}

    model = assemble([unigrams, {(1, 1): (-0.75, 0.5)}, {(0, 1, 3): (-0.125, 0.0)}])

    assert model.tables[1].keys.tolist() == [0 * VOCAB_SIZE + 1, 1 * VOCAB_SIZE + 1]
    assert model.tables[1].log_probs.tolist() == [-0.5 - 2.0, -0.75]
    assert model.tables[1].log_backoffs.tolist() == [0.0, 0.5]
    assert model.log_probs([0, 1, 3]).tolist() == [-1.0, -2.5, -0.125]


def test_a_token_that_is_not_listed_has_probability_zero():
    model = assemble([{(0,): (-1.0, 0.0), (START,): (-9.0, 0.0)}])

    assert model.log_probs([0, 1]).tolist() == [-1.0, -math.inf]


@pytest.mark.parametrize(
    ("tokens", "line"), [([(0, 1), (1, 0), (0, 1)], 42), ([(1, 1), (1, 1), (0, 0), (0, 0)], 41)]
)
def test_an_ngram_that_is_listed_twice_is_named_by_its_line(tokens, line):
    tokens = np.array(tokens)
    lines = NumberedLines([], "tale.arpa")
    orders = [
        ListedNgrams(
            tokens=part,
            log_probs=np.zeros(len(part)),
            log_backoffs=np.zeros(len(part)),
            lines=lines,
            first_line=40,
        )
        for part in (np.zeros((0, 1), np.int64), tokens)
    ]

    with pytest.raises(TextError, match=f"tale.arpa, line {line}: this n-gram was listed before"):
        assemble_model(orders, vocab_size=VOCAB_SIZE, start_id=START)
