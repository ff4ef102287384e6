"""The neural cache is what a double loop over equations 2 to 4 of Grave et al. 2017 gives."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.data import NOT_PREDICTED
from charlm.errors import ConfigError
from charlm.evaluation import (
    CacheConfig,
    CachedPredictor,
    DynamicConfig,
    DynamicNetwork,
    NetworkPredictor,
)

START, VOCAB_SIZE = 24, 27


def cache_by_hand(hidden, network_log_probs, tokens, config):
    """log P of what follows each token, memories weighed one by one."""
    found = []
    for t, own in enumerate(hidden):
        weights = [0.0] * VOCAB_SIZE
        for i in range(max(0, t - config.size), t):
            if tokens[i + 1] != START:
                weights[tokens[i + 1]] += math.exp(config.flatness * float(own @ hidden[i]))
        probs = np.exp(network_log_probs[t])
        if sum(weights) > 0:
            cache = np.array(weights) / sum(weights)
            probs = (1 - config.weight) * probs + config.weight * cache
        found.append(np.log(probs))
    return np.array(found)


def configs():
    return st.builds(
        CacheConfig,
        size=st.integers(1, 40),
        flatness=st.sampled_from([0.0, 0.3, 2.0]),
        weight=st.sampled_from([0.01, 0.3, 0.9]),
    )


@pytest.fixture(scope="module")
def model(small_model):
    return small_model()


@given(config=configs(), cuts=st.sets(st.integers(1, 60), max_size=5), seed=st.integers(0, 9))
@settings(max_examples=15)
def test_a_cache_is_what_a_double_loop_gives(model, random_text, looped, said, config, cuts, seed):
    tokens = random_text(seed, (9, 0, 1, 24, 30)).astype(int)  # repeats itself by chance

    log_probs, found = said(
        CachedPredictor(NetworkPredictor(model), config), tokens[None], sorted(cuts)
    )

    expected = cache_by_hand(*looped(model, tokens), [*tokens.tolist(), START], config)[:-1]
    predicted = np.flatnonzero(tokens[1:] != START)
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(found[0], expected, **close)
    np.testing.assert_allclose(np.exp(found).sum(-1), 1, rtol=1e-5)
    own = expected[predicted, tokens[1:][predicted]]
    np.testing.assert_allclose(log_probs[0, predicted], own, **close)


@pytest.mark.parametrize("context", ["stream", "frame"])
@given(config=configs(), seed=st.integers(0, 9), window=st.sampled_from([1, 6, 512]))
@settings(max_examples=10)
def test_a_frame_by_itself_begins_with_nothing_to_remember(
    model, random_text, looped, read, predicted, context, config, seed, window
):
    tokens = random_text(seed, (9, 0, 1, 24, 13))
    begins = np.flatnonzero(tokens == START)
    texts = np.split(tokens, begins[1:]) if context == "frame" else [tokens]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charlm.evaluation.reading.WINDOW", window)
        found = read(CachedPredictor(NetworkPredictor(model), config), tokens, context)

    nats = []
    for text in texts:
        followed = [*text.tolist(), START]
        nats.append(predicted(cache_by_hand(*looped(model, text), followed, config), text)[1])
    np.testing.assert_allclose(found.nats, np.concatenate(nats), rtol=1e-4, atol=1e-5)


def test_the_first_token_is_the_networks(model, random_text, read):
    tokens = random_text(0, (9,))
    cached = CachedPredictor(NetworkPredictor(model), CacheConfig(weight=0.9))

    found, plain = read(cached, tokens).nats, read(NetworkPredictor(model), tokens).nats

    assert found[0] == plain[0]
    assert not np.isclose(found[1:], plain[1:], rtol=1e-3).any()


def test_only_what_was_read_among_the_last_tokens_is_remembered(model, said):
    config = CacheConfig(size=3, flatness=0.0, weight=0.5)
    tokens = np.array([[START, 7, 1, 2, 3, 4, 5]])

    _, plain = said(NetworkPredictor(model), tokens)
    _, found = said(CachedPredictor(NetworkPredictor(model), config), tokens)

    cache = np.exp(found[0]) * 2 - np.exp(plain[0])
    remembered = [set(np.flatnonzero(row > 1e-4).tolist()) for row in cache[1:]]
    assert remembered == [{7}, {7, 1}, {7, 1, 2}, {1, 2, 3}, {2, 3, 4}]


def test_flatness_prefers_places_like_this_one(model, random_text, said, looped):
    tokens = random_text(0, (30,)).astype(int)
    predictor = CachedPredictor(NetworkPredictor(model), CacheConfig(flatness=200.0, weight=0.5))

    _, plain = said(NetworkPredictor(model), tokens[None])
    _, found = said(predictor, tokens[None])

    cache = np.exp(found[0]) * 2 - np.exp(plain[0])
    hidden, _ = looped(model, tokens)
    like = [int(np.argmax(hidden[:t] @ hidden[t])) for t in range(1, len(tokens) - 1)]
    assert cache[1:].argmax(1).tolist() == tokens[1:][like].tolist()


def test_padding_is_never_recalled(model, random_text, said):
    config = CacheConfig(size=50, flatness=0.5, weight=0.5)
    predictor = CachedPredictor(NetworkPredictor(model), config)
    tokens = torch.tensor([[START, 1, 2, 9, 9, 9, 3, 4, 5]])
    targets = tokens.roll(-1, 1)
    targets[0, 2:6] = NOT_PREDICTED

    predictions, _ = predictor.predict(tokens, targets, predictor.initial_state(1))

    _, plain = said(NetworkPredictor(model), torch.cat([tokens, tokens[:, :1]], 1))
    cache = predictions.distribution().exp().numpy() * 2 - np.exp(plain)
    assert set(np.flatnonzero(cache[0, 7] > 1e-4)) == {1, 2, 4}


@pytest.mark.parametrize("kind", ["network", "dynamic"])
def test_a_cache_helps_on_a_text_that_repeats_itself(kind, model, random_text, read):
    network = NetworkPredictor(model)
    if kind == "dynamic":
        sizes = {name: torch.ones_like(p) for name, p in model.named_parameters()}
        network = DynamicNetwork(model, sizes, DynamicConfig(learning_rate=0.05))
    phrase = random_text(3, (30,))[1:-1]
    tokens = np.concatenate([[START], *[phrase] * 8])

    plain = read(network, tokens).nats.sum()
    cached = read(
        CachedPredictor(network, CacheConfig(weight=0.3, flatness=2.0)), tokens
    ).nats.sum()

    assert cached < 0.9 * plain


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("size", 0),
        ("size", -5),
        ("size", 100_001),
        ("flatness", -0.1),
        ("flatness", math.inf),
        ("flatness", math.nan),
        ("weight", 0.0),
        ("weight", 1.0),
        ("weight", 1.5),
        ("weight", math.nan),
    ],
)
def test_a_setting_out_of_range_is_an_error(setting, value):
    with pytest.raises(ConfigError, match=f"cache's {setting} must be .*not {value}"):
        CacheConfig(**{setting: value})


def test_settings_at_the_ends_of_their_ranges_are_allowed():
    CacheConfig(size=1, flatness=0.0, weight=0.001)
    CacheConfig(size=100_000, flatness=1e6, weight=0.999)
