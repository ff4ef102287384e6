"""Accuracy on minimal pairs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.evaluation import score_pairs


def test_the_likelier_sentence_is_right_and_a_tie_counts_half():
    good, bad = np.array([-1.0, -3.0, -2.0, -2.0]), np.array([-2.0, -1.0, -2.0, -6.0])

    found = score_pairs(["a", "b", "a", "a"], good, bad)

    assert list(found.groups) == ["a", "b"]
    a, b = found.groups.values()
    assert (a.num_pairs, a.num_right, a.num_ties, a.accuracy) == (3, 2, 1, 2.5 / 3)
    assert (b.num_pairs, b.num_right, b.num_ties, b.accuracy) == (1, 0, 0, 0.0)
    assert found.together.accuracy == 2.5 / 4
    assert a.bits_per_pair == pytest.approx(5 / 3 / math.log(2))
    assert b.bits_per_pair == pytest.approx(-2 / math.log(2))


pairs = st.tuples(st.sampled_from("abc"), st.integers(-5, 0), st.integers(-5, 0))


@given(st.lists(pairs, min_size=1))
def test_groups_add_up_and_each_is_counted_by_itself(drawn):
    groups, good, bad = zip(*drawn, strict=True)

    found = score_pairs(groups, np.array(good, float), np.array(bad, float))

    for name, scores in found.groups.items():
        own = [(g, b) for group, g, b in drawn if group == name]
        assert scores.num_pairs == len(own)
        assert scores.num_right == sum(g > b for g, b in own)
        assert scores.num_ties == sum(g == b for g, b in own)
        assert scores.total_nats == pytest.approx(sum(g - b for g, b in own))
    for field in ("num_pairs", "num_right", "num_ties", "total_nats"):
        total = sum(getattr(scores, field) for scores in found.groups.values())
        assert getattr(found.together, field) == pytest.approx(total)


@given(st.lists(pairs, min_size=1))
def test_turning_all_pairs_round_turns_the_accuracy_round(drawn):
    groups, good, bad = zip(*drawn, strict=True)

    there = score_pairs(groups, np.array(good, float), np.array(bad, float)).together
    back = score_pairs(groups, np.array(bad, float), np.array(good, float)).together

    assert there.accuracy + back.accuracy == pytest.approx(1)
    assert there.bits_per_pair == pytest.approx(-back.bits_per_pair)


def test_of_no_pairs_there_is_no_accuracy():
    found = score_pairs([], np.zeros(0), np.zeros(0))

    assert found.groups == {}
    assert math.isnan(found.together.accuracy)
