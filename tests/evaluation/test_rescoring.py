"""Ranking by two models: order, ties, and the errors that it makes."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.data import NbestEntry
from charlm.errors import ConfigError
from charlm.evaluation import (
    FIRST_PASS,
    Ranking,
    RescoringConfig,
    RescoringErrors,
    make_lists,
    measure_rankings,
    minimize_errors,
)

# Small whole numbers, so that there are ties.
HYPOTHESIS = st.tuples(st.integers(-3, 3), st.integers(-3, 0), st.integers(0, 3), st.integers(0, 5))
LISTS = st.lists(st.lists(HYPOTHESIS, min_size=1, max_size=6), min_size=1, max_size=5)
CONFIGS = st.builds(
    RescoringConfig,
    scale=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    length_bonus=st.sampled_from([-1.0, 0.0, 0.5]),
)


def as_lists(content):
    """Lists of (score, log P, length, errors), and the errors in a row."""
    rows = [row for each in content for row in each]
    names = [f"u{number}" for number, each in enumerate(content) for _ in each]
    entries = [
        NbestEntry(name, float(row[0]), "", 1) for name, row in zip(names, rows, strict=True)
    ]
    columns = list(zip(*rows, strict=True))
    log_probs = np.array(columns[1], dtype=np.float64)
    return make_lists(entries, log_probs, np.array(columns[2])), np.array(columns[3])


def naive_ranking(each, config):
    """Indices of one list, best first."""
    combined = [s + config.scale * p + config.length_bonus * n for s, p, n, _ in each]
    return sorted(range(len(each)), key=lambda index: -combined[index])  # stable


@given(content=LISTS, config=CONFIGS)
@settings(max_examples=150)
def test_hypotheses_rank_by_their_combined_score_and_equals_stay_in_order(content, config):
    lists, _ = as_lists(content)
    values = lists.combined(config)

    ranking, begin = [], 0
    for each in content:
        ranking += [begin + index for index in naive_ranking(each, config)]
        begin += len(each)

    assert lists.ranking(values).tolist() == ranking
    assert lists.best(values).tolist() == [ranking[first] for first in lists.first]


@given(content=LISTS, config=CONFIGS)
@settings(max_examples=100)
def test_errors_are_those_of_the_hypotheses_that_rank_first(content, config):
    lists, errors = as_lists(content)

    counted = sum(each[naive_ranking(each, config)[0]][3] for each in content)
    oracle = sum(min(row[3] for row in each) for each in content)

    assert lists.total_errors(errors, config) == counted
    assert lists.oracle_errors(errors) == oracle <= counted


@given(content=LISTS)
@settings(max_examples=60)
def test_later_values_decide_between_equals(content):
    lists, _ = as_lists(content)

    best = lists.best(lists.scores, lists.log_probs).tolist()

    begin = 0
    for index, each in zip(best, content, strict=True):
        assert index - begin == max(range(len(each)), key=lambda i: each[i][:2])
        begin += len(each)


def test_a_combined_score_weighs_log_p_and_length():
    lists, _ = as_lists([[(-2, -3, 4, 0)]])

    assert lists.combined(RescoringConfig(scale=0.5, length_bonus=0.25)).tolist() == [-2.5]
    assert lists.combined(FIRST_PASS).tolist() == [-2]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"scale": -0.1}, "scale must be from 0 to 1e+100, not -0.1"),
        ({"scale": math.nan}, "scale must be from 0 to 1e+100, not nan"),
        ({"scale": math.inf}, "scale must be from 0 to 1e+100, not inf"),
        ({"scale": 1e308}, "scale must be from 0 to 1e+100, not 1e+308"),
        ({"length_bonus": math.nan}, "length_bonus must be from -1e+100 to 1e+100, not nan"),
        ({"length_bonus": -math.inf}, "length_bonus must be from -1e+100 to 1e+100, not -inf"),
        ({"length_bonus": -1e308}, "length_bonus must be from -1e+100 to 1e+100, not -1e+308"),
    ],
)
def test_settings_out_of_range_are_errors(settings, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        RescoringConfig(**settings)


@pytest.mark.parametrize("bonus", [1e100, -1e100])
def test_the_largest_settings_and_scores_do_not_overflow(bonus):
    lists, _ = as_lists([[(-1e100, -1e7, 10**6, 0), (1e100, -1.0, 1, 0)]])

    with np.errstate(all="raise"):
        combined = lists.combined(RescoringConfig(scale=1e100, length_bonus=bonus))

    assert np.isfinite(combined).all()


def test_tuning_finds_a_scale_beyond_a_million():
    lists, errors = as_lists([[(0.0, -1.00001, 1, 1), (-50.0, -1.0, 1, 0)]])

    config = minimize_errors(lists, errors, RescoringConfig())

    assert config.scale > 1e6
    assert lists.total_errors(errors, config) == 0


def test_rankings_are_measured_beside_the_oracle():
    lists, errors = as_lists([[(0, -3, 1, 2), (-1, 0, 1, 1), (-9, -9, 1, 0)], [(0, 0, 1, 1)]])
    config = RescoringConfig(scale=1.0)

    measured = measure_rankings(
        lists, errors, {"first pass": FIRST_PASS, "rescored": config}, "word", 4
    )

    counted = [(ranking.name, ranking.errors) for ranking in measured.rankings]
    assert counted == [("first pass", 3), ("rescored", 2), ("oracle", 1)]
    assert measured.to_dict() == {
        "scale": 1.0,
        "length_bonus": 0.0,
        "unit": "word",
        "num_units": 4,
        "first_pass": {"errors": 3, "rate": 0.75},
        "rescored": {"errors": 2, "rate": 0.5},
        "oracle": {"errors": 1, "rate": 0.25},
    }


def test_references_without_a_word_have_no_rate():
    ranking = Ranking("rescored", 2, FIRST_PASS)
    measured = RescoringErrors("word", 0, (ranking,))

    assert math.isnan(measured.rate(ranking))
    assert measured.to_dict()["rescored"] == {"errors": 2, "rate": None}
