"""The exact line search: every step of the errors, beside all that can be counted by hand."""

from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.data import NbestEntry
from charlm.evaluation import RescoringConfig, make_lists, minimize_errors
from charlm.evaluation.minimum_error import ErrorSteps, errors_along

HYPOTHESIS = st.tuples(st.integers(-6, 6), st.integers(-6, 0), st.integers(0, 4), st.integers(0, 5))
LISTS = st.lists(st.lists(HYPOTHESIS, min_size=1, max_size=6), min_size=1, max_size=4)
POINTS = st.tuples(st.sampled_from([0, 0.5, 1, 3]), st.sampled_from([-2, 0, 0.5]))
DIRECTIONS = st.sampled_from([(1, 0), (0, 1), (1, 2), (1, -0.5)])


def as_lists(content):
    """Lists of (score, log P, length, errors), and the errors in a row."""
    rows = [row for each in content for row in each]
    names = [f"u{number}" for number, each in enumerate(content) for _ in each]
    entries = [NbestEntry(n, float(row[0]), "", 1) for n, row in zip(names, rows, strict=True)]
    columns = list(zip(*rows, strict=True))
    log_probs = np.array(columns[1], dtype=np.float64)
    return make_lists(entries, log_probs, np.array(columns[2])), np.array(columns[3])


def exact_errors(content, scale, bonus):
    """Errors of the first of the best hypotheses, in exact arithmetic."""
    scale, bonus = Fraction(scale), Fraction(bonus)
    return sum(max(each, key=lambda h: h[0] + scale * h[1] + bonus * h[2])[3] for each in content)


def exact_steps(content, point, direction):
    """(low, high, errors) between all crossings of two lines of a list, lowest first."""
    (scale, bonus), (dx, dy) = [tuple(map(Fraction, pair)) for pair in (point, direction)]
    crossings = set()
    for each in content:
        lines = [(s + scale * p + bonus * n, dx * p + dy * n) for s, p, n, _ in each]
        for (a, b), (c, d) in combinations(lines, 2):
            if b != d:
                crossings.add((a - c) / (d - b))
    lowest = -scale / dx if dx else min(crossings, default=Fraction(0)) - 2
    inner = sorted(gamma for gamma in crossings if gamma > lowest)
    edges = [lowest, *inner, (inner or [lowest])[-1] + 2]
    for low, high in pairwise(edges):
        gamma = (low + high) / 2
        yield low, high, exact_errors(content, scale + gamma * dx, bonus + gamma * dy)


def errors_at(steps, gamma):
    (found,) = np.flatnonzero((steps.low < gamma) & (gamma < steps.high))
    return steps.errors[found]


@given(content=LISTS, point=POINTS, direction=DIRECTIONS)
@settings(max_examples=200)
def test_errors_along_a_line_are_exact_between_all_crossings(content, point, direction):
    lists, errors = as_lists(content)

    steps = errors_along(lists, errors, np.array(point), np.array(direction, dtype=float))

    for low, high, count in exact_steps(content, point, direction):
        assert errors_at(steps, float((low + high) / 2)) == count
        assert errors_at(steps, float(low + (high - low) / 100)) == count
        assert errors_at(steps, float(high - (high - low) / 100)) == count


@given(content=LISTS, direction=DIRECTIONS, unit=st.sampled_from([1.0, 0.1]))
@settings(max_examples=200)
def test_steps_cover_the_line_and_differ_even_where_crossings_are_rounded(content, direction, unit):
    content = [[(unit * s, 7 * unit * p, n, e) for s, p, n, e in each] for each in content]
    lists, errors = as_lists(content)

    steps = errors_along(lists, errors, np.array([0.3, 0.1]), np.array(direction, dtype=float))

    assert steps.low[0] == (-0.3 if direction[0] else -np.inf)
    assert steps.high[-1] == np.inf
    assert steps.low[1:].tolist() == steps.high[:-1].tolist()
    assert (steps.high - steps.low > 1e-10).all()
    assert (np.diff(steps.errors) != 0).all()


@given(content=LISTS, held=st.sampled_from([0, 0.5, 2]), fit_scale=st.booleans())
@settings(max_examples=80)
def test_one_setting_is_fitted_as_well_as_can_be_and_the_other_held(content, held, fit_scale):
    lists, errors = as_lists(content)
    point = (0.5, held) if fit_scale else (held, 0)
    start = RescoringConfig(scale=point[0], length_bonus=point[1])

    found = minimize_errors(lists, errors, start, fit_scale=fit_scale, fit_bonus=not fit_scale)

    direction = (1, 0) if fit_scale else (0, 1)
    fewest = min(count for _, _, count in exact_steps(content, point, direction))
    grid = [
        exact_errors(content, gamma, held) if fit_scale else exact_errors(content, held, gamma)
        for gamma in np.arange(0 if fit_scale else -8, 8, 0.125)
    ]
    reached = exact_errors(content, found.scale, found.length_bonus)
    assert lists.total_errors(errors, found) == reached <= fewest
    assert reached <= min(grid) or fewest > min(grid)  # a grid may hit a tie, which has no width
    assert (found.length_bonus if fit_scale else found.scale) == held


@given(content=LISTS, point=POINTS)
@settings(max_examples=60)
def test_no_line_through_what_is_found_has_fewer_errors(content, point):
    lists, errors = as_lists(content)
    start = RescoringConfig(scale=point[0], length_bonus=point[1])

    found = minimize_errors(lists, errors, start)

    reached = lists.total_errors(errors, found)
    assert reached <= lists.total_errors(errors, start)
    if reached == lists.total_errors(errors, start):
        assert found == start
    end = np.array([found.scale, found.length_bonus])
    for direction in ([1.0, 0.0], [0.0, 1.0]):
        assert errors_along(lists, errors, end, np.array(direction)).errors.min() >= reached


@pytest.mark.parametrize("seed", range(3))
def test_on_noisy_lists_nothing_on_a_grid_is_much_better(seed):
    random = np.random.default_rng(seed)
    content = []
    for _ in range(40):
        wrong = random.integers(0, 6, 10)  # the worse a hypothesis, the worse both models like it
        scores = -0.5 * wrong + random.normal(0, 1, 10)
        log_probs = -30 - 2 * wrong + random.normal(0, 5, 10)
        lengths = random.integers(5, 9, 10)
        rows = zip(scores, log_probs - 3 * (lengths - 7), lengths, wrong, strict=True)
        content.append([tuple(map(float, row)) for row in rows])
    lists, errors = as_lists(content)

    found = minimize_errors(lists, errors, RescoringConfig())

    grid = [
        lists.total_errors(errors, RescoringConfig(scale=scale, length_bonus=bonus))
        for scale in np.arange(0, 2, 0.04)
        for bonus in np.arange(-2, 6, 0.16)
    ]
    assert lists.total_errors(errors, found) <= 1.02 * min(grid)


def test_the_settings_are_in_the_middle_of_the_best_interval_and_short():
    content = [
        [(0, -4, 1, 1), (-2, -1, 1, 0)],  # right above a scale of 2/3
        [(0, -3, 1, 0), (-3, 0, 1, 1)],  # right below a scale of 1
    ]
    lists, errors = as_lists(content)

    found = minimize_errors(lists, errors, RescoringConfig(scale=0.1), fit_bonus=False)

    assert found == RescoringConfig(scale=0.833)


def test_digits_are_added_until_the_errors_are_kept():
    content = [
        [(0, -1, 1, 1), (-1.00001, 0, 1, 0)],
        [(0, -1, 1, 0), (-1.00002, 0, 1, 1)],
    ]
    lists, errors = as_lists(content)

    found = minimize_errors(lists, errors, RescoringConfig(), fit_bonus=False)

    assert lists.total_errors(errors, found) == 0
    assert found.scale == 1.000015


def test_the_settings_that_are_given_stay_where_nothing_is_better():
    lists, errors = as_lists([[(0, -1, 1, 1), (-1, 0, 1, 1)], [(0, 0, 0, 0)]])
    start = RescoringConfig(scale=0.123456789, length_bonus=7.0)

    assert minimize_errors(lists, errors, start) == start


def test_a_longer_way_is_taken_to_a_wider_interval_but_not_far_into_it():
    steps = ErrorSteps(
        low=np.array([-4.0, -0.5, -0.4, 3.0]),
        high=np.array([-0.5, -0.4, 3.0, np.inf]),
        errors=np.array([5, 2, 5, 2]),
    )

    assert steps.best() == 4.0


def test_of_intervals_that_are_wide_enough_the_nearest_is_taken():
    steps = ErrorSteps(
        low=np.array([-np.inf, -9.0, 3.0, 60.0]),
        high=np.array([-9.0, 3.0, 60.0, np.inf]),
        errors=np.array([2, 5, 2, 5]),
    )

    assert steps.best() == 4.0


def test_a_place_that_is_safe_already_is_kept():
    steps = ErrorSteps(np.array([-2.0, 1.5]), np.array([1.5, np.inf]), np.array([1, 2]))

    assert steps.best() == 0.0


def test_lists_of_one_hypothesis_or_of_equals_leave_nothing_to_find():
    lists, errors = as_lists([[(1, -1, 2, 3)], [(0, -2, 1, 1), (0, -2, 1, 0)]])

    steps = errors_along(lists, errors, np.array([0.5, 0.0]), np.array([1.0, 0.0]))

    assert steps.errors.tolist() == [4]  # of equals the first
    assert minimize_errors(lists, errors, RescoringConfig()) == RescoringConfig()
