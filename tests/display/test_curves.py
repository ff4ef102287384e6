"""Which curves are shown, how they are smoothed, and how much of them is seen."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.checkpoint import History, Report
from charlm.display.curves import (
    Curve,
    View,
    faint_label,
    label,
    make_chart,
    mean_of,
    moving_mean,
    perplexities,
    run_curves,
    zoomed_high,
)
from charlm.errors import ConfigError


def history(*reports):
    return History(Path("run"), tuple(Report(**report) for report in reports))


LEARNT = history(
    *({"step": n, "seconds": n / 2, "loss": 4.0 - n / 20, "grad_norm": 1.0} for n in range(40)),
    {"step": 20, "seconds": 10.0, "valid_nats": 3.0},
    {"step": 40, "seconds": 20.0, "valid_nats": 2.0},
)


def curve(y, x=None, **settings):
    x = range(1, len(y) + 1) if x is None else x
    return Curve(0, "training", np.array(x, float), np.array(y, float), **settings)


def test_a_run_has_a_faint_curve_of_training_and_one_of_validation():
    training, validation = run_curves(LEARNT, View(x="seconds", smooth=1), key=3, in_detail=True)

    assert (training.name, training.is_faint, training.key) == ("training", True, 3)
    assert training.x.tolist() == [n / 2 for n in range(40)]
    assert training.y.tolist() == [4.0 - n / 20 for n in range(40)]
    assert (validation.name, validation.is_faint, validation.key) == ("validation", False, 3)
    assert (validation.x.tolist(), validation.y.tolist()) == ([10, 20], [3, 2])


def test_without_validation_training_is_not_faint():
    (only,) = run_curves(history({"step": 1, "loss": 2.0}), View(), in_detail=True)

    assert (only.name, only.is_faint, only.averaged) == ("training", False, 1)


def test_raw_and_averaged_weights_are_told_apart_where_one_run_is_looked_at():
    reports = [{"step": 1, "valid_nats": 2.0}]
    reports += [{"step": 2, "valid_nats": 1.5, "valid_nats_raw": 1.8, "valid_nats_averaged": 1.5}]
    both = history(*reports)

    found = run_curves(both, View(), in_detail=True)

    assert [(each.key, each.name) for each in found] == [
        (0, "validation"),
        (1, "validation, raw weights"),
        (2, "validation, averaged weights"),
    ]
    assert found[1].y.tolist() == [1.8]
    assert len(run_curves(both, View(), in_detail=False)) == 1
    same = history({"step": 2, "valid_nats": 1.5, "valid_nats_raw": 1.5})
    assert len(run_curves(same, View(), in_detail=True)) == 1


@pytest.mark.parametrize(
    ("view", "num_curves"),
    [
        (View(y="grad-norm"), 1),
        (View(y="learning-rate"), 0),
        (View(y="tokens-per-second"), 0),
        (View(x="tokens"), 0),
    ],
)
def test_what_was_not_reported_has_no_curve(view, num_curves):
    assert len(run_curves(LEARNT, view, in_detail=True)) == num_curves


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    number=st.integers(1, 30),
)
@settings(max_examples=100)
def test_a_moving_mean_is_that_of_the_values_about_each(values, number):
    found = moving_mean(np.array(values), number)

    before, after = (number - 1) // 2, number // 2
    windows = [values[max(0, i - before) : i + after + 1] for i in range(len(values))]
    expected = [sum(window) / len(window) for window in windows]
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_one_huge_value_spoils_only_the_means_it_is_in():
    found = moving_mean(np.array([1.0, 1e30, 1.0, 1.0, 1.0]), 3)

    assert found[3:].tolist() == [1, 1]


def test_a_mean_is_over_one_report_in_twenty_or_as_many_as_are_asked_for():
    (training, _) = run_curves(LEARNT, View(), in_detail=True)
    assert training.averaged == 2
    (training, _) = run_curves(LEARNT, View(smooth=1000), in_detail=True)
    assert training.averaged == 40
    assert training.y[19] == pytest.approx(np.mean([4.0 - n / 20 for n in range(40)]))


@pytest.mark.parametrize(
    ("view", "why"),
    [({"smooth": 0}, "1 or more"), ({"y": "learning-rate", "smooth": 3}, "no effect")],
)
def test_smoothing_that_means_nothing_is_refused(view, why):
    with pytest.raises(ConfigError, match=why):
        View(**view)


def test_an_early_cliff_is_cut_off_and_said_to_be():
    losses = [10, 8, 6, *np.linspace(3, 2, 97)]

    chart = make_chart([curve(losses)], View())
    whole = make_chart([curve(losses)], View(zoom=False))

    assert chart.y_axis.low == 2 and 3 < chart.y_axis.high < 4
    assert (chart.is_cut, chart.highest) == (True, 10)
    assert (whole.y_axis.low, whole.y_axis.high, whole.is_cut) == (2, 10, False)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50))
@settings(max_examples=100)
def test_a_zoom_leaves_out_one_in_twenty_at_most_and_never_the_lowest(values):
    high = zoomed_high(np.array(values))

    assert min(values) <= high <= max(values)
    assert sum(value > high for value in values) <= len(values) / 20 + 1


def test_axes_hold_all_runs_and_begin_where_training_does():
    chart = make_chart([curve([3, 2], [10, 20]), curve([5, 4], [30, 40])], View())

    assert (chart.x_axis.low, chart.x_axis.high) == (0, 40)
    assert (chart.y_axis.low, chart.y_axis.high) == (2, 5)
    assert (chart.x_title, chart.y_title) == ("steps", "nats per token")


@pytest.mark.parametrize(
    ("longest", "title", "end"),
    [
        (119, "seconds", 119),
        (120, "minutes", 2),
        (7199, "minutes", 7199 / 60),
        (9000, "hours", 2.5),
    ],
)
def test_long_times_are_in_minutes_or_hours(longest, title, end):
    chart = make_chart([curve([3, 2], [10, longest])], View(x="seconds"))

    assert chart.x_title == f"{title} of training"
    assert chart.x_axis.high == pytest.approx(end)


def test_points_are_drawn_in_the_order_of_x():
    chart = make_chart([curve([1, 3, 2], [10, 30, 20])], View())

    assert chart.curves[0].y.tolist() == [1, 2, 3]


def test_a_logarithmic_axis_leaves_out_what_is_not_above_zero():
    curves = [curve([0, 4, 2], [1, 0, 3]), curve([0], [1])]

    chart = make_chart(curves, View(log="xy"))

    assert [each.y.tolist() for each in chart.curves] == [[2]]
    assert make_chart(curves, View(log="y")).curves[0].x.tolist() == [0, 3]
    with pytest.raises(ConfigError, match="above 0"):
        make_chart([curve([0, 0])], View(log="y"))


def test_labels_name_runs_where_there_are_several_and_curves_where_there_is_one():
    training, validation = run_curves(LEARNT, View(), key=1, in_detail=False)
    (alone,) = run_curves(history({"step": 1, "loss": 2.0}), View(), in_detail=False)

    assert label(validation, ["a", "b"]) == "b"
    assert label(validation, ["a"]) == "validation"
    assert label(alone, ["a", "b"]) == "a (training)"
    assert faint_label([training]) == "training, mean of 2 reports"


def test_legends_say_how_many_reports_a_mean_is_of():
    assert mean_of([curve([1.0])]) == ""
    assert mean_of([curve([1.0], averaged=5), curve([1.0], averaged=5)]) == ", mean of 5 reports"
    several = [curve([1.0], averaged=number) for number in (9, 5, 7)]
    assert mean_of(several) == ", mean of 5 to 9 reports"


def test_perplexities_have_three_digits():
    nats = np.log([1, 6.7384, 27, 130.4, 54_321])

    assert perplexities(nats) == ["1.00", "6.74", "27.0", "130", "5.43e+04"]
