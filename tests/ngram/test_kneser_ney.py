"""Kneser-Ney against the papers' recursion over dictionaries, and against figures made by hand."""

import math
from collections import Counter, defaultdict
from itertools import chain, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import ConfigError
from charlm.ngram import build_kneser_ney, kneser_ney
from charlm.ngram.kneser_ney import count_discounts

START, STOP, VOCAB_SIZE = 3, 4, 6
PREDICTED = [token for token in range(VOCAB_SIZE) if token != START]
words = st.lists(st.sampled_from([0, 0, 0, 1, 1, 2, 5]), max_size=7)
frames = words.map(lambda words: [START, *words, STOP])
texts = st.lists(frames, max_size=12).map(lambda frames: [*chain.from_iterable(frames)])


def build(text, order):
    return build_kneser_ney(text, order=order, vocab_size=VOCAB_SIZE, start_id=START)


class NaiveKneserNey:
    """Heafield et al. 2013, sec. 3, one n-gram after the other."""

    def __init__(self, text, order):
        raw, before = Counter(), defaultdict(set)
        for end in range(len(text)):
            for begin in range(end, max(end - order, -1), -1):
                ngram = tuple(text[begin : end + 1])
                if ngram != (START,):
                    raw[ngram] += 1
                if len(ngram) > 1:
                    before[ngram[1:]].add(ngram[0])
                if text[begin] == START:
                    break
        self.order = order
        self.counts = {
            ngram: count if len(ngram) == order else len(before[ngram]) or count
            for ngram, count in raw.items()
        }
        self.discounts = [self.discounts_of(n) for n in range(1, order + 1)]

    def discounts_of(self, order):
        counts_of_counts = Counter(c for ngram, c in self.counts.items() if len(ngram) == order)
        if not all(counts_of_counts[i] for i in (1, 2, 3)):
            return 0, 0.5, 1, 1.5
        y = counts_of_counts[1] / (counts_of_counts[1] + 2 * counts_of_counts[2])
        estimates = [
            i - (i + 1) * y * counts_of_counts[i + 1] / counts_of_counts[i] for i in (1, 2, 3)
        ]
        return (0, *estimates) if min(estimates) > 0 else (0, 0.5, 1, 1.5)

    def prob(self, token, history):
        if token == START:
            return 0.0
        history = tuple(history)[max(0, len(history) - self.order + 1) :]
        if START in history:
            history = history[len(history) - 1 - history[::-1].index(START) :]
        return self.interpolated(token, history)

    def interpolated(self, token, history):
        lower = self.interpolated(token, history[1:]) if history else 1 / (VOCAB_SIZE - 1)
        counts = [self.counts.get((*history, v), 0) for v in range(VOCAB_SIZE)]
        if sum(counts) == 0:
            return lower
        discounts = self.discounts[len(history)]
        taken = [discounts[min(count, 3)] for count in counts]
        own = (counts[token] - taken[token]) / sum(counts)
        return own + sum(taken) / sum(counts) * lower


def histories():
    """Some that occur, some that do not, of each length up to 4, with `<start>` or without."""
    return [history for n in range(5) for history in product([0, 1, 2], repeat=n)] + [
        (START, *history) for n in range(4) for history in product([0, 1, 5], repeat=n)
    ]


def assert_equals_naive(text, order):
    model, naive = build(text, order), NaiveKneserNey(text, order)
    for history in histories():
        if not history:
            continue
        (found,) = np.exp(model.distributions(history[-1:], history[:-1]))
        expected = [naive.prob(token, history) for token in range(VOCAB_SIZE)]
        assert found == pytest.approx(expected, rel=1e-12, abs=0), history
    expected = [
        0.0 if t == START else math.log(naive.prob(t, text[:i])) for i, t in enumerate(text)
    ]
    assert model.log_probs(text) == pytest.approx(expected, rel=1e-12, abs=1e-12)


@given(text=texts, order=st.integers(1, 5))
@settings(max_examples=25)
def test_probabilities_are_those_of_the_recursion(text, order):
    assert_equals_naive(text, order)


@given(text=texts, cut=st.integers(1, 5))
@settings(max_examples=10)
def test_a_text_that_begins_inside_a_frame_is_learned_too(text, cut):
    assert_equals_naive(text[cut:], 3)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_with_discounts_of_its_own_the_recursion_holds_too(order, long_text):
    naive = NaiveKneserNey(long_text.tolist(), order)

    assert_equals_naive(long_text.tolist(), order)

    if order > 1:
        assert naive.discounts[-1] != (0, 0.5, 1, 1.5)


@given(text=texts, order=st.integers(1, 4))
@settings(max_examples=40)
def test_after_any_context_the_probabilities_sum_to_one_and_none_is_zero(text, order):
    model = build(text, order)

    for history in histories():
        probs = np.exp(model.distributions(history, [START]))

        assert probs.sum(axis=1) == pytest.approx(1, abs=1e-12)
        assert (probs[:, PREDICTED] > 0).all()
        assert (probs[:, START] == 0).all()


def test_a_bigram_model_made_by_hand():
    """<start> a <stop>, <start> a a <stop>; all discounts fall back to 0.5, 1 and 1.5.

    Adjusted counts of 1-grams: a 2 (after <start>, a), <stop> 1 (after a). Bigrams: <start> a 2,
    a <stop> 2, a a 1.
    """
    a, start, stop, other = range(4)
    text = [start, a, stop, start, a, a, stop]

    model = build_kneser_ney(text, order=2, vocab_size=4, start_id=start)

    unigrams = {a: 1 / 3 + 1 / 6, stop: 1 / 6 + 1 / 6, other: 1 / 6}  # gamma 1/2, uniform 1/3
    after_a = [1 / 6 + 1 / 2 * unigrams[a], 0, 1 / 3 + 1 / 2 * unigrams[stop], 1 / 12]
    after_start = [1 / 2 + 1 / 2 * unigrams[a], 0, 1 / 2 * unigrams[stop], 1 / 12]
    after_stop = [unigrams[a], 0, unigrams[stop], unigrams[other]]
    found = np.exp(model.distributions([a, start, stop]))
    assert found == pytest.approx(np.array([after_a, after_start, after_stop]), abs=1e-15)
    assert np.exp(model.log_probs([start, a, stop])) == pytest.approx([1, 3 / 4, 1 / 2])


def test_discounts_come_from_counts_of_counts():
    counts = [1] * 4 + [2] * 2 + [3] + [4] + [0, 7, 9]  # y = 4 / (4 + 2 * 2)

    assert count_discounts(np.array(counts)).tolist() == [0, 0.5, 1.25, 1.0]


@pytest.mark.parametrize(
    "counts",
    [
        [],
        [0, 0],
        [2, 2, 3],
        [1, 1, 3],
        [1, 1, 2],
        [1] * 10 + [2] + [3] * 10,  # a discount of -23 of a count of 2
        [1] * 4 + [2] * 2 + [3] * 2 + [4] * 3,  # nothing off a count of 3
    ],
)
def test_counts_that_give_no_discounts_fall_back(counts):
    assert count_discounts(np.array(counts, np.int64)).tolist() == [0, 0.5, 1.0, 1.5]


def test_a_text_shorter_than_the_order_is_learned():
    short, long = build([START, 0, STOP], 3), build([START, 0, STOP], 9)

    assert long.order == 9
    text = [START, 0, 0, STOP, 1]
    assert np.allclose(long.log_probs(text), short.log_probs(text))


def test_of_no_text_the_model_is_uniform():
    model = build([], 3)

    (probs,) = np.exp(model.distributions([START]))

    assert probs == pytest.approx([0.2, 0.2, 0.2, 0, 0.2, 0.2])


def test_a_token_that_is_sure_has_no_more_than_certainty(monkeypatch):
    discount = 0.04974737077524556
    assert (5 - discount) / 5 + discount / 5 > 1
    monkeypatch.setattr(kneser_ney, "FALLBACK_DISCOUNTS", (discount,) * 3)

    model = build_kneser_ney([0, 1, 1, 1, 1, 1], order=1, vocab_size=2, start_id=0)

    assert model.log_probs([0, 1]).tolist() == [0, 0]


def test_memory_mapped_ids_give_the_same_model(long_text, tmp_path):
    long_text.astype(np.uint8).tofile(tmp_path / "ids")
    mapped = np.memmap(tmp_path / "ids", np.uint8, mode="r")

    one, other = build(long_text, 3), build(mapped, 3)

    assert np.array_equal(one.log_probs(long_text), other.log_probs(mapped))


@pytest.mark.parametrize("order", [0, -2, 31, 10**9])
def test_an_order_out_of_range_is_refused(order):
    with pytest.raises(ConfigError, match=f"between 1 and 30, not {order}"):
        build([START, 0, STOP], order)


def test_the_highest_order_is_30(long_text):
    model = build(long_text[:60], 30)

    log_probs = model.log_probs(long_text[:60])
    assert model.order == len(model.tables) == 30
    assert np.isfinite(log_probs[long_text[:60] != START]).all()
