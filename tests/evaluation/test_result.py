"""Rates from sums, each worked out by hand from single surprisals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.evaluation import BITS_PER_NAT, MEASURES, Evaluation

# A text of four words and 20 characters, two of them two bytes long: nats, is <other>, is <stop>.
NATS = np.array([1.5, 0.25, 7.0, 3.0, 0.5, 2.0])
OTHER = np.array([False, False, True, True, False, False])
STOP = np.array([False, False, False, False, False, True])


def evaluation_of(nats, other, stop):
    return Evaluation(
        total_nats=nats.sum(),
        total_nats_other=nats[other].sum(),
        sum_squared_nats=(nats**2).sum(),
        num_tokens=len(nats),
        num_other=int(other.sum()),
        num_stop=int(stop.sum()),
        num_words=4,
        num_chars=20,
        num_bytes=22,
    )


EVALUATION = evaluation_of(NATS, OTHER, STOP)
NOTHING = evaluation_of(NATS[:0], OTHER[:0], STOP[:0])


def test_perplexity_is_the_geometric_mean_of_inverse_probabilities():
    inverse_probabilities = np.exp(NATS)

    assert EVALUATION.perplexity == pytest.approx(inverse_probabilities.prod() ** (1 / 6))
    assert EVALUATION.nats_per_token == pytest.approx(NATS.mean())
    assert EVALUATION.bits_per_token == pytest.approx(np.log2(inverse_probabilities).mean())


def test_perplexity_excluding_other_is_over_the_known_tokens_alone():
    assert EVALUATION.perplexity_excluding_other == pytest.approx(np.exp(NATS[~OTHER].mean()))


def test_ppl1_spreads_all_nats_over_the_tokens_that_are_not_stop():
    assert EVALUATION.ppl1 == pytest.approx(math.exp(NATS.sum() / 5))


def test_bits_per_char_and_per_byte_are_over_the_original_text():
    total_bits = np.log2(np.exp(NATS)).sum()

    assert EVALUATION.bits_per_char == pytest.approx(total_bits / 20)
    assert EVALUATION.bits_per_byte == pytest.approx(total_bits / 22)


def test_the_other_rate_is_a_share_of_the_predicted_tokens():
    assert EVALUATION.other_rate == pytest.approx(2 / 6)


@settings(max_examples=50)
@given(st.lists(st.floats(0, 30), min_size=2, max_size=50))
def test_the_standard_error_is_that_of_a_mean(nats):
    nats = np.array(nats)
    nothing = np.zeros(len(nats), dtype=bool)

    evaluation = evaluation_of(nats, nothing, nothing)

    expected = nats.std(ddof=1) / math.sqrt(len(nats))
    assert evaluation.standard_error == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("nats", [0.1, 1 / 3, 7.7])
def test_the_standard_error_of_equal_surprisals_is_zero(nats):
    evaluation = evaluation_of(np.full(1000, nats), np.zeros(1000, bool), np.zeros(1000, bool))

    assert evaluation.standard_error == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("num_tokens", [0, 1])
def test_fewer_than_two_tokens_have_no_standard_error(num_tokens):
    evaluation = evaluation_of(NATS[:num_tokens], OTHER[:num_tokens], STOP[:num_tokens])

    assert math.isnan(evaluation.standard_error)


def test_a_rate_of_nothing_is_not_a_number():
    empty = replace(NOTHING, num_words=0, num_chars=0, num_bytes=0)

    rates = empty.to_dict()

    counts = {"total_nats", "num_tokens", "num_other", "num_words", "num_chars", "num_bytes"}
    assert {name for name in rates if rates[name] == 0} == counts
    assert all(math.isnan(rates[name]) for name in rates.keys() - counts)


def test_a_text_of_nothing_but_other_has_no_perplexity_excluding_it():
    evaluation = evaluation_of(NATS, np.full(6, True), STOP)

    assert math.isnan(evaluation.perplexity_excluding_other)
    assert math.isfinite(evaluation.perplexity)


@pytest.mark.parametrize("nats", [699.0, 705.0, 709.0])
def test_perplexity_is_finite_as_long_as_a_float_can_hold_it(nats):
    evaluation = evaluation_of(np.full(1, nats), np.full(1, False), np.full(1, False))

    assert evaluation.perplexity == pytest.approx(math.exp(nats))


@pytest.mark.parametrize("nats", [710.0, 1e6, math.inf])
def test_perplexity_is_infinite_where_a_float_cannot_hold_it(nats):
    evaluation = evaluation_of(np.full(1, nats), np.full(1, False), np.full(1, False))

    assert evaluation.perplexity == math.inf


@settings(max_examples=40)
@given(cut=st.integers(0, 6), seed=st.integers(0, 9))
def test_the_sum_of_two_texts_has_the_rates_of_both_in_a_row(cut, seed):
    order = np.random.default_rng(seed).permutation(6)
    first, second = (
        evaluation_of(NATS[part], OTHER[part], STOP[part]) for part in (order[:cut], order[cut:])
    )

    both = first + second

    twice = replace(EVALUATION, num_words=8, num_chars=40, num_bytes=44)
    assert both.to_dict() == pytest.approx(twice.to_dict())
    assert both.num_stop == 1
    assert (second + first).to_dict() == pytest.approx(both.to_dict())


def test_many_texts_can_be_summed_up():
    assert sum([EVALUATION] * 2, EVALUATION).to_dict() == pytest.approx(
        evaluation_of(np.tile(NATS, 3), np.tile(OTHER, 3), np.tile(STOP, 3)).to_dict()
        | {"num_words": 12, "num_chars": 60, "num_bytes": 66}
        | {"bits_per_char": EVALUATION.bits_per_char, "bits_per_byte": EVALUATION.bits_per_byte}
    )


def test_the_dict_holds_the_measures_in_the_order_they_are_shown():
    measures = EVALUATION.to_dict()

    assert tuple(measures) == MEASURES
    assert " ".join(measures) == (
        "perplexity perplexity_excluding_other ppl1 nats_per_token bits_per_token bits_per_char "
        "bits_per_byte total_nats num_tokens num_other num_words num_chars num_bytes other_rate "
        "standard_error"
    )
    assert all(measures[name] == getattr(EVALUATION, name) for name in measures)


def test_a_nat_is_1_44_bits():
    assert pytest.approx(1.4426950408889634) == BITS_PER_NAT
