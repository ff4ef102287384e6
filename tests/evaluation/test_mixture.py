"""A mixture is the weighted sum of its members' probabilities; the best weights can be found."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from charlm.errors import ConfigError
from charlm.evaluation import (
    CacheConfig,
    CachedPredictor,
    Mixture,
    NetworkPredictor,
    fit_weights,
)

START = 24


@pytest.fixture(scope="module")
def members(small_model):
    first, *others = (NetworkPredictor(small_model(seed=seed)) for seed in range(3))
    return [CachedPredictor(first, CacheConfig(size=9)), *others]


class Stub:
    """A predictor of which only this is known."""

    def __init__(self, stride=1, max_rows=None):
        self.stride, self.max_rows = stride, max_rows


@pytest.mark.parametrize("weights", [(0.2, 0.5, 0.3), (1e-6, 0.5, 0.5 - 1e-6), (1.0,)])
def test_a_mixture_is_the_weighted_sum_of_probabilities(weights, members, random_text, said):
    tokens, members = random_text().astype(int)[None], members[: len(weights)]

    found = said(Mixture(members, weights), tokens, cuts=(8, 30))

    each = [said(member, tokens) for member in members]
    for mixed, *parts in zip(found, *each, strict=True):
        expected = sum(w * np.exp(part) for w, part in zip(weights, parts, strict=True))
        np.testing.assert_allclose(np.exp(mixed), expected, rtol=1e-4)


@pytest.mark.parametrize("context", ["stream", "frame"])
def test_a_mixture_reads_frames_together_as_its_members_do(context, members, random_text, read):
    tokens, weights = random_text(), (0.2, 0.5, 0.3)

    found = read(Mixture(members, weights), tokens, context)

    nats = [read(member, tokens, context).nats for member in members]
    expected = sum(w * np.exp(-part) for w, part in zip(weights, nats, strict=True))
    np.testing.assert_allclose(np.exp(-found.nats), expected, rtol=1e-4)


def test_a_mixture_of_a_model_with_itself_is_that_model(members, random_text, read):
    tokens, member = random_text(), members[1]

    found = read(Mixture([member, member], [0.3, 0.7]), tokens)

    np.testing.assert_allclose(found.nats, read(member, tokens).nats, rtol=1e-6)


def test_what_one_member_holds_for_impossible_the_others_can_save():
    def member(log_prob):
        stub = Stub()
        predictions = type("P", (), {"log_probs": torch.tensor([[log_prob]])})
        stub.predict = lambda inputs, targets, state: (predictions, state)
        return stub

    mixture = Mixture([member(-math.inf), member(math.log(0.5))], [0.75, 0.25])
    predictions, _ = mixture.predict(torch.zeros(1, 1), torch.zeros(1, 1), [None, None])

    assert predictions.log_probs.exp().item() == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("strides", "stride"), [((1, 1), 1), ((1, 20), 20), ((4, 6), 12), ((3, 5, 1), 15)]
)
def test_its_windows_suit_all_members(strides, stride):
    members = [Stub(stride=each) for each in strides]

    assert Mixture(members, [1 / len(members)] * len(members)).stride == stride


@pytest.mark.parametrize(
    ("limits", "limit"), [((None, None), None), ((None, 1), 1), ((5, 3), 3), ((7,), 7)]
)
def test_it_takes_as_many_rows_as_all_members_take(limits, limit):
    members = [Stub(max_rows=each) for each in limits]

    assert Mixture(members, [1 / len(members)] * len(members)).max_rows == limit


@pytest.mark.parametrize(
    "weights",
    [(0.5, 0.4), (0.6, 0.6), (0.0, 1.0), (-0.5, 1.5), (math.nan, 1.0), (math.inf, 0.5)],
)
def test_weights_that_are_no_shares_are_an_error(weights):
    with pytest.raises(ConfigError, match="above 0 and sum to 1"):
        Mixture([Stub(), Stub()], weights)


def mixed_nats(weights, nats):
    return -np.log(np.asarray(weights) @ np.exp(-nats)).mean()


@given(seed=st.integers(0, 99), better=st.floats(-2, 2))
@settings(max_examples=15)
def test_the_weights_of_two_members_are_the_best_of_a_fine_grid(seed, better):
    nats = np.random.default_rng(seed).exponential(3, (2, 200))
    nats[0] = np.maximum(nats[0] - better, 0)

    weights = fit_weights(nats)

    grid = np.linspace(0, 1, 501)
    found = [mixed_nats((share, 1 - share), nats) for share in grid]
    assert weights.sum() == pytest.approx(1)
    assert mixed_nats(weights, nats) <= min(found) + 1e-6
    assert weights[0] == pytest.approx(grid[np.argmin(found)], abs=0.01)


@pytest.mark.parametrize("seed", range(5))
def test_the_weights_of_three_members_are_those_an_optimizer_finds(seed):
    nats = np.random.default_rng(seed).exponential([[3.0], [3.3], [3.1]], (3, 300))

    weights = fit_weights(nats)

    found = minimize(
        lambda w: mixed_nats((*w, 1 - sum(w)), nats), [1 / 3, 1 / 3], method="Nelder-Mead"
    )
    assert mixed_nats(weights, nats) <= found.fun + 1e-6
    np.testing.assert_allclose(weights[:2], found.x, atol=0.005)


def test_known_shares_are_found_again():
    # Half of the tokens are sure under one member alone, a quarter under each of the others.
    owner = np.array([0, 0, 1, 2] * 25)
    nats = np.where(np.arange(3)[:, None] == owner, 0.0, 50.0)

    np.testing.assert_allclose(fit_weights(nats), [0.5, 0.25, 0.25], atol=1e-6)


@pytest.mark.parametrize("nats_of_useless", [5.0, 800.0, math.inf])
def test_a_useless_member_gets_no_weight(nats_of_useless):
    nats = np.random.default_rng(0).exponential(1, (3, 200))
    nats[1] = nats.max(axis=0) + nats_of_useless

    weights = fit_weights(nats)

    assert weights[1] < 1e-6
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights[[0, 2]], fit_weights(nats[[0, 2]]), atol=1e-3)


def test_one_member_has_all_the_weight():
    assert fit_weights(np.ones((1, 10))).tolist() == [1.0]


def test_members_that_are_equal_share_alike():
    nats = np.random.default_rng(0).exponential(1, 50)

    np.testing.assert_allclose(fit_weights(np.stack([nats] * 4)), [0.25] * 4)
