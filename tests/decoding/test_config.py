"""Decoding settings are checked once, when they are named."""

import math
from dataclasses import FrozenInstanceError

import pytest

from charlm.decoding import DecodingConfig
from charlm.errors import ConfigError


@pytest.mark.parametrize("value", [0, -1])
@pytest.mark.parametrize("name", ["max_new_tokens", "beam", "num_return_sequences"])
def test_counts_are_at_least_one(name, value):
    with pytest.raises(ConfigError, match=f"{name} must be .* at least 1, not {value}"):
        DecodingConfig(**{name: value})


@pytest.mark.parametrize("temperature", [-0.1, -math.inf, math.inf, math.nan])
def test_temperature_is_zero_or_more_and_finite(temperature):
    with pytest.raises(ConfigError, match="temperature must be"):
        DecodingConfig(temperature=temperature)


@pytest.mark.parametrize("length_penalty", [math.inf, -math.inf, math.nan, 11.0])
def test_the_length_penalty_is_small(length_penalty):
    with pytest.raises(ConfigError, match="length_penalty must be"):
        DecodingConfig(beam=4, length_penalty=length_penalty)


def test_a_beam_ends_with_as_many_texts_as_it_is_wide():
    assert DecodingConfig(beam=3, num_return_sequences=3).num_return_sequences == 3
    with pytest.raises(ConfigError, match="a beam of 3 ends with 3 texts, not 4"):
        DecodingConfig(beam=3, num_return_sequences=4)


@pytest.mark.parametrize("greedy", [{"greedy": True}, {"temperature": 0.0}])
def test_greedy_decoding_has_one_result(greedy):
    with pytest.raises(ConfigError, match="greedy decoding has one result"):
        DecodingConfig(num_return_sequences=2, **greedy)


def test_sampling_may_have_many_results():
    assert DecodingConfig(num_return_sequences=20).num_return_sequences == 20


@pytest.mark.parametrize(
    ("settings", "is_greedy"),
    [
        ({}, False),
        ({"temperature": 1e-9}, False),
        ({"temperature": 0}, True),
        ({"greedy": True}, True),
        ({"greedy": True, "temperature": 2.0}, True),
    ],
)
def test_zero_temperature_and_greedy_mean_the_same(settings, is_greedy):
    assert DecodingConfig(**settings).is_greedy is is_greedy


def test_a_config_does_not_change():
    config = DecodingConfig()

    with pytest.raises(FrozenInstanceError):
        config.beam = 2
