"""Axes: places from end to end, and ticks that are round."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.display.axis import Axis, make_axis, round_ticks, tick_labels


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        (0, 980, 6, [0, 200, 400, 600, 800]),
        (1.82, 3.68, 8, [2, 2.25, 2.5, 2.75, 3, 3.25, 3.5]),
        (0, 1000, 10, [0, 200, 400, 600, 800, 1000]),
        (0.1, 0.3, 2, [0.2]),
        (-3, 3, 4, [-2, 0, 2]),
    ],
)
def test_ticks_are_round_numbers_inside(low, high, most, ticks):
    assert round_ticks(low, high, most) == ticks


values = st.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-9)


@given(low=values, high=values, most=st.integers(2, 20))
@settings(max_examples=300)
def test_ticks_are_within_the_axis_and_as_close_as_round_numbers_can_be(low, high, most):
    low, high = sorted((low, high))
    axis = make_axis(low, high)

    ticks = axis.ticks(most)

    slack = 1e-6 * (axis.high - axis.low) + 1e-9 * abs(axis.high)
    assert most / 5 - 1 <= len(ticks) <= most
    assert all(axis.low - slack <= tick <= axis.high + slack for tick in ticks)
    if len(ticks) > 2:
        steps = np.diff(ticks)
        assert np.allclose(steps, steps[0], rtol=1e-3)
        digits = steps[0] / 10 ** math.floor(math.log10(steps[0]) + 1e-6)
        assert min(abs(digits - digit) for digit in (1, 2, 2.5, 5, 10)) < 1e-2


@given(low=st.floats(1e-9, 1e9), factor=st.floats(1.01, 1e12), most=st.integers(2, 15))
@settings(max_examples=200)
def test_logarithmic_ticks_are_within_the_axis_and_in_order(low, factor, most):
    axis = make_axis(low, low * factor, is_log=True)

    ticks = axis.ticks(most)

    assert len(ticks) <= most
    assert ticks == sorted(set(ticks))
    assert all(axis.low * (1 - 1e-6) <= tick <= axis.high * (1 + 1e-6) for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        (1, 100, 7, [1, 2, 5, 10, 20, 50, 100]),
        (1, 100, 5, [1, 3, 10, 30, 100]),
        (1, 100, 3, [1, 10, 100]),
        (1, 1e6, 4, [1, 100, 10_000, 1e6]),
        (1.1, 1.9, 5, [1.2, 1.4, 1.6, 1.8]),
    ],
)
def test_logarithmic_ticks_are_round_in_every_decade(low, high, most, ticks):
    assert Axis(low, high, is_log=True).ticks(most) == pytest.approx(ticks)


def test_places_run_from_end_to_end():
    linear, logarithmic = Axis(2, 6), Axis(1, 100, is_log=True)

    assert linear.place(np.array([2.0, 3.0, 6.0, 10.0])).tolist() == [0, 0.25, 1, 2]
    assert logarithmic.place(np.array([1.0, 10.0, 100.0])).tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("value", [0.0, 3.0, -2e-7, 1e12])
def test_a_constant_is_in_the_middle(value):
    assert make_axis(value, value).place(np.array([value])).tolist() == pytest.approx([0.5])
    if value > 0:
        axis = make_axis(value, value, is_log=True)
        assert axis.place(np.array([value])).tolist() == pytest.approx([0.5])


@pytest.mark.parametrize(
    ("ticks", "labels"),
    [
        ([0, 500, 1000], ["0", "500", "1,000"]),
        ([2, 2.25, 2.5], ["2.00", "2.25", "2.50"]),
        ([0, 0.1, 0.2, 0.3], ["0", "0.1", "0.2", "0.3"]),
        ([0, 250_000, 500_000], ["0", "250k", "500k"]),
        ([2e6, 2.5e6, 3e6], ["2.0M", "2.5M", "3.0M"]),
        ([0, 5e-5, 1e-4], ["0", "5e-05", "0.0001"]),
        ([1, 10, 100, 1e6], ["1", "10", "100", "1M"]),
        ([-1, 0, 1], ["-1", "0", "1"]),
        ([7], ["7"]),
        ([], []),
    ],
)
def test_labels_are_short_and_exact(ticks, labels):
    assert tick_labels(ticks) == labels


@pytest.mark.parametrize("high", [1e12, 1e20, 9e44])
def test_the_labels_of_large_numbers_leave_room_for_the_chart(high):
    labels = tick_labels(make_axis(0, high).ticks(5))

    assert max(map(len, labels)) <= 15 and len(set(labels)) == len(labels)
