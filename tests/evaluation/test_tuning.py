"""Tuning walks a grid to the settings that are best, and tries none of them twice."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import ConfigError
from charlm.evaluation import CACHE_FACTORS, DYNAMIC_FACTORS, CacheConfig, DynamicConfig, tune
from charlm.evaluation.tuning import LARGEST_CACHE, MAX_STEPS_BACK

START = DynamicConfig(learning_rate=1e-3, decay=1e-3)


def best_of(trials):
    return min(trials, key=lambda trial: trial.nats)


def walk(measure, start, factors):
    """The trials of a walk and the settings that were measured, both in order."""
    measured = []

    def record(config):
        measured.append(config)
        return measure(config)

    return list(tune(record, start, factors)), measured


def bowl(rate_power, decay_power, slant=0.0):
    """Convex in the logarithms, least at the start's settings times factors to these powers."""

    def measure(config):
        x = math.log(config.learning_rate / START.learning_rate, 2) - rate_power
        y = math.log(config.decay / START.decay, 4) - decay_power
        return 2.0 + x * x + y * y + slant * x * y

    return measure


@given(
    rate_power=st.integers(-6, 6), decay_power=st.integers(-4, 4), slant=st.sampled_from([0, 0.5])
)
@settings(max_examples=40)
def test_a_walk_ends_at_the_best_place_of_a_bowl(rate_power, decay_power, slant):
    trials, measured = walk(bowl(rate_power, decay_power, slant), START, DYNAMIC_FACTORS)

    best = best_of(trials).config
    assert best.learning_rate == pytest.approx(START.learning_rate * 2.0**rate_power)
    assert best.decay == pytest.approx(START.decay * 4.0**decay_power)
    assert [trial.config for trial in trials] == measured


def nearly_equal(config, other):
    """Equal but for rounding."""
    return all(
        abs(getattr(config, name) - getattr(other, name)) <= 0.05 * getattr(config, name)
        for name in ("size", "flatness", "weight")
    )


@given(
    weight=st.floats(0.001, 0.99),
    flatness=st.floats(0.01, 30),
    size=st.integers(1, 20_000),
    start=st.builds(
        CacheConfig,
        size=st.integers(20, 3000),
        flatness=st.floats(0.01, 5),
        weight=st.floats(0.02, 0.9),
    ),
)
@settings(max_examples=15)
def test_nothing_is_tried_twice_not_even_but_for_rounding(weight, flatness, size, start):
    def measure(config):
        return (
            abs(math.log(config.weight / weight))
            + abs(math.log(config.flatness / flatness))
            + abs(math.log(config.size / size))
        )

    trials, measured = walk(measure, start, CACHE_FACTORS)

    assert len(trials) == len(measured)
    for number, config in enumerate(measured):
        assert not any(nearly_equal(config, other) for other in measured[:number])


def test_a_walk_begins_at_its_start_and_tries_neighbours_one_setting_at_a_time():
    trials, _ = walk(bowl(0, 0), START, DYNAMIC_FACTORS)

    rates = [trial.config.learning_rate / START.learning_rate for trial in trials]
    decays = [trial.config.decay / START.decay for trial in trials]
    assert trials[0].config == START
    assert rates == pytest.approx([1, 2, 0.5, 1, 1])
    assert decays == pytest.approx([1, 1, 1, 4, 0.25])
    assert [trial.nats for trial in trials] == pytest.approx([2, 3, 3, 3, 3])


def test_a_walk_goes_on_for_as_long_as_it_helps():
    trials, _ = walk(bowl(5, 0), START, {"learning_rate": 2.0})

    rates = [trial.config.learning_rate / START.learning_rate for trial in trials]
    assert rates == pytest.approx([1, 2, 4, 8, 16, 32, 64])


@pytest.mark.parametrize("failure", ["error", "nan"])
def test_settings_that_do_not_work_are_infinitely_bad(failure):
    def measure(config):
        if config.learning_rate > START.learning_rate:
            if failure == "nan":
                return math.nan
            raise ConfigError("dynamic evaluation runs away")
        return bowl(3, 0)(config)

    trials, measured = walk(measure, START, DYNAMIC_FACTORS)

    assert [t.config for t in trials] == measured
    failed = [trial for trial in trials if trial.config.learning_rate > START.learning_rate]
    assert [trial.nats for trial in failed] == [math.inf]
    assert best_of(trials).config == START


def test_a_start_that_does_not_work_can_be_left():
    def measure(config):
        if config.learning_rate >= START.learning_rate:
            raise ConfigError("dynamic evaluation runs away")
        return bowl(-3, 0)(config)

    trials, _ = walk(measure, START, DYNAMIC_FACTORS)

    assert trials[0].nats == math.inf
    assert best_of(trials).config.learning_rate == pytest.approx(START.learning_rate / 8)


def test_where_nothing_works_the_walk_ends():
    trials, measured = walk(lambda config: math.inf, START, DYNAMIC_FACTORS)

    assert len(trials) == len(measured) == 1 + MAX_STEPS_BACK
    assert {trial.nats for trial in trials} == {math.inf}


def test_what_is_out_of_range_is_not_tried():
    start = CacheConfig(size=LARGEST_CACHE // 3, weight=0.7)

    trials, _ = walk(lambda config: -config.weight - config.size, start, CACHE_FACTORS)

    assert all(trial.config.weight < 1 for trial in trials)  # 0.7 * 1.6 is above
    assert all(trial.config.size <= LARGEST_CACHE for trial in trials)
    assert best_of(trials).config == start


@pytest.mark.parametrize("size", [LARGEST_CACHE + 1, 20_000, 100_000])
def test_a_cache_that_is_large_already_can_become_smaller_and_its_other_settings_change(size):
    def measure(config):
        return (
            abs(math.log(config.weight / 0.256))
            + abs(math.log(config.flatness / 1.2))
            + abs(math.log(config.size / size))
        )

    trials, _ = walk(measure, CacheConfig(size=size), CACHE_FACTORS)

    best = best_of(trials).config
    assert best.size == size == max(trial.config.size for trial in trials)
    assert any(trial.config.size == round(size / 4) for trial in trials)
    assert best.weight == pytest.approx(0.256)
    assert best.flatness == pytest.approx(1.2)


@pytest.mark.parametrize("nats", [1.0, math.inf])
def test_where_nothing_may_change_the_start_is_the_only_trial(nats):
    trials, _ = walk(lambda config: nats, START, {})

    assert [(trial.config, trial.nats) for trial in trials] == [(START, nats)]


def test_whole_numbers_stay_whole_numbers():
    trials, _ = walk(lambda config: config.size, CacheConfig(size=50), {"size": 4.0})

    sizes = [trial.config.size for trial in trials]
    assert sizes == [50, 200, 12, 3, 1]
    assert all(type(size) is int for size in sizes)


def test_settings_that_are_not_to_change_are_kept():
    start = replace(START, bptt=7)

    trials, _ = walk(bowl(2, 2), start, {"decay": 4.0})

    assert {(trial.config.bptt, trial.config.learning_rate) for trial in trials} == {(7, 1e-3)}


def test_each_trial_comes_as_soon_as_it_is_made():
    measured = []

    def measure(config):
        measured.append(config)
        return 1.0

    trials = tune(measure, START, DYNAMIC_FACTORS)
    for count in (1, 2, 3):
        next(trials)
        assert len(measured) == count
