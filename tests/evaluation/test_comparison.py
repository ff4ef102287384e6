"""The paired bootstrap: known cases, and intervals that hold the truth as often as they say."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.evaluation import Difference, paired_bootstrap
from charlm.evaluation.comparison import merge


def draw_pieces(seed, num_pieces=60):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 40, num_pieces).astype(float)
    return lengths * rng.gamma(9, 0.3, num_pieces), lengths


def test_a_model_does_not_differ_from_itself():
    nats, lengths = draw_pieces(0)

    found = paired_bootstrap(nats, nats, lengths)

    assert found == Difference(value=0.0, low=0.0, high=0.0)
    assert not found.is_clear


@pytest.mark.parametrize("gap", [0.25, -0.25])
def test_a_difference_that_is_always_the_same_is_certain(gap):
    nats, lengths = draw_pieces(0)

    found = paired_bootstrap(nats + gap * lengths, nats, lengths)

    assert (found.value, found.low, found.high) == pytest.approx((gap, gap, gap))
    assert found.is_clear


def test_the_value_is_the_difference_of_both_rates():
    (nats, lengths), (other, _) = draw_pieces(0), draw_pieces(1)

    found = paired_bootstrap(nats, other, lengths)

    assert found.value == pytest.approx(nats.sum() / lengths.sum() - other.sum() / lengths.sum())
    assert found.low < found.value < found.high


def test_the_other_way_round_all_changes_its_sign():
    (nats, lengths), (other, _) = draw_pieces(0), draw_pieces(1)

    found, turned = (paired_bootstrap(*pair, lengths) for pair in ((nats, other), (other, nats)))

    expected = (-found.value, -found.high, -found.low)
    assert (turned.value, turned.low, turned.high) == pytest.approx(expected)


def test_pieces_are_drawn_for_both_models_alike():
    nats, lengths = draw_pieces(0)
    noise = np.random.default_rng(1).normal(0, 0.01, len(nats)) * lengths

    found = paired_bootstrap(nats + noise, nats, lengths)

    # Drawn apart, the pieces of such uneven nats would give an interval many times as wide.
    spread = nats.std() / lengths.mean() / math.sqrt(len(nats))
    assert found.high - found.low < 0.1 * spread


def test_the_interval_is_that_of_the_normal_distribution_where_pieces_are_many():
    rng = np.random.default_rng(3)
    gaps, lengths = rng.normal(0.1, 1.0, 2000), np.ones(2000)

    found = paired_bootstrap(gaps, np.zeros(2000), lengths)

    error = gaps.std(ddof=1) / math.sqrt(2000)
    assert found.low == pytest.approx(gaps.mean() - 1.96 * error, abs=0.2 * error)
    assert found.high == pytest.approx(gaps.mean() + 1.96 * error, abs=0.2 * error)


def test_nineteen_of_twenty_intervals_hold_the_truth(monkeypatch):
    monkeypatch.setattr("charlm.evaluation.comparison.RESAMPLES", 200)
    held = clear = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        lengths = rng.integers(5, 40, 50).astype(float)
        gaps = rng.normal(0.3, 0.5, 50) * lengths  # 0.3 a unit of length
        found = paired_bootstrap(gaps, np.zeros(50), lengths, seed=seed)
        held += found.low <= 0.3 <= found.high
        clear += found.is_clear

    assert 0.88 <= held / 200 <= 0.99
    assert clear / 200 > 0.9


def test_equal_seeds_give_equal_intervals():
    (nats, lengths), (other, _) = draw_pieces(0), draw_pieces(1)

    first, same, another = (paired_bootstrap(nats, other, lengths, seed=s) for s in (1, 1, 2))

    assert first == same
    assert first.value == another.value
    assert first.low != another.low


@pytest.mark.parametrize("num_pieces", [1, 2, 9])
def test_few_pieces_have_a_difference_but_no_interval(num_pieces):
    found = paired_bootstrap(*(np.full(num_pieces, value) for value in (6.0, 4.0, 8.0)))

    assert found.value == 0.25
    assert math.isnan(found.low) and math.isnan(found.high)
    assert not found.is_clear


def test_ten_pieces_have_an_interval():
    (nats, lengths), (other, _) = draw_pieces(0, 10), draw_pieces(1, 10)

    found = paired_bootstrap(nats, other, lengths)

    assert found.low < found.value < found.high


def test_pieces_without_length_are_no_division_by_zero():
    nats, lengths = np.zeros(10), np.zeros(10)
    nats[3], lengths[3] = 1.0, 4.0  # a third of the draws have none but pieces without length

    found = paired_bootstrap(nats, np.zeros(10), lengths)

    assert found.value == 0.25
    assert 0 <= found.low <= found.high <= 0.25


@pytest.mark.parametrize(
    ("low", "high", "clear"), [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.1, False)]
)
def test_a_difference_is_clear_where_zero_lies_outside(low, high, clear):
    assert Difference(value=0.0, low=low, high=high).is_clear is clear


@given(num=st.integers(1, 60), most=st.integers(1, 70))
@settings(max_examples=60)
def test_neighbours_are_put_together_so_that_few_enough_remain(num, most):
    values = np.random.default_rng(num).normal(size=num)

    merged = merge(values, most)

    together = math.ceil(num / most)
    expected = [values[begin : begin + together].sum() for begin in range(0, num, together)]
    assert len(merged) <= most
    np.testing.assert_allclose(merged, expected)


def test_many_pieces_are_put_together_and_give_the_same_difference(monkeypatch):
    (nats, lengths), (other, _) = draw_pieces(0, 500), draw_pieces(1, 500)
    expected = paired_bootstrap(nats, other, lengths)
    monkeypatch.setattr("charlm.evaluation.comparison.MAX_UNITS", 100)

    found = paired_bootstrap(nats, other, lengths)

    assert found.value == pytest.approx(expected.value)
    assert found.high - found.low == pytest.approx(expected.high - expected.low, rel=0.3)
