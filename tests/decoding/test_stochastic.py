"""Samples without replacement are distributed as if drawn one after the other."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, gumbel_r, kstest

from charlm.decoding import DecodingConfig, sample_without_replacement
from charlm.decoding.stochastic import condition_maximum, draw_gumbels
from charlm.errors import ConfigError

INF = float("inf")
VOCAB_SIZE, STOP = 3, 2
NUM_SEEDS = 3000


def configure(count, **settings):
    return DecodingConfig(
        **{"max_new_tokens": 2, "without_replacement": True, "num_return_sequences": count}
        | settings
    )


def identity(hypothesis):
    return hypothesis.tokens, hypothesis.end


@pytest.fixture(scope="module")
def space(markov_model, rules_for, every_text):
    """A model with seven texts, its rules, and what every text's probability is."""
    model = markov_model(torch.tensor([[0.5, 0.3, 0.2], [0.25, 0.15, 0.6], [1, 1, 1]]).log())
    rules = rules_for(VOCAB_SIZE, STOP)
    found = every_text(model, (0,), configure(1), rules, sampled=True)
    return model, rules, {identity(h): math.exp(h.log_prob) for h in found}


@pytest.fixture(scope="module")
def draws(space):
    """All texts of the space as they are drawn, for many seeds."""
    model, rules, _ = space
    return [
        sample_without_replacement(model, (0,), configure(100), rules, seed=seed)
        for seed in range(NUM_SEEDS)
    ]


def assert_drawn_from(expected, drawn):
    counts = Counter(drawn)
    assert counts.keys() <= expected.keys()
    assert sum(expected.values()) == pytest.approx(1)
    often = [outcome for outcome, p in expected.items() if p * len(drawn) >= 5]
    observed = [counts[outcome] for outcome in often]
    due = np.array([expected[outcome] * len(drawn) for outcome in often])
    observed.append(len(drawn) - sum(observed))
    due = np.append(due, len(drawn) - due.sum())
    if due[-1] < 1e-6:
        assert observed.pop() == 0
        due = due[:-1]
    assert chisquare(observed, due * sum(observed) / due.sum()).pvalue > 0.001


# Distributions


def test_the_first_text_has_the_probability_that_the_model_gives_it(space, draws):
    _, _, probabilities = space

    assert_drawn_from(probabilities, [identity(found[0]) for found in draws])


def test_the_second_text_is_drawn_from_what_the_first_has_left(space, draws):
    _, _, p = space
    expected = {(a, b): p[a] * p[b] / (1 - p[a]) for a in p for b in p if a != b}

    assert_drawn_from(expected, [tuple(map(identity, found[:2])) for found in draws])


def test_the_third_text_is_drawn_from_what_two_have_left(space, draws):
    _, _, p = space
    expected = Counter()
    for a in p:
        for b in p.keys() - {a}:
            for c in p.keys() - {a, b}:
                expected[c] += p[a] * p[b] / (1 - p[a]) * p[c] / (1 - p[a] - p[b])

    assert_drawn_from(expected, [identity(found[2]) for found in draws])


def test_what_a_score_adds_to_the_log_probability_is_gumbel_noise_of_each_text(space, draws):
    _, _, probabilities = space
    noise = {text: [] for text in probabilities}
    for found in draws:
        for h in found:
            noise[identity(h)].append(h.score - h.log_prob)

    for values in noise.values():
        assert kstest(values, gumbel_r.cdf).pvalue > 0.001
    between = np.corrcoef(list(noise.values())) - np.eye(len(noise))
    assert np.abs(between).max() < 4 / math.sqrt(NUM_SEEDS)


def test_the_greatest_score_says_nothing_about_the_text(space, draws):
    _, _, probabilities = space
    for text in sorted(probabilities, key=lambda text: -probabilities[text])[:3]:
        scores = [found[0].score for found in draws if identity(found[0]) == text]

        assert kstest(scores, gumbel_r.cdf).pvalue > 0.001


SHAPED = [
    {"temperature": 0.5},
    {"temperature": 2.0, "top_k": 2},
    {"top_p": 0.6},
    {"min_p": 0.5},
    {"typical_p": 0.7},
    {"repetition_penalty": 2.0, "frequency_penalty": 0.5},
    {"min_new_tokens": 1},
]


@pytest.mark.parametrize("settings", SHAPED)
def test_settings_shape_what_is_drawn(space, every_text, settings):
    model, rules, _ = space
    config = configure(1, **settings)

    drawn = [
        sample_without_replacement(model, (0,), config, rules, seed=seed)[0] for seed in range(700)
    ]

    found = every_text(model, (0,), config, rules, sampled=True)
    expected = {identity(h): h.log_prob for h in found}
    assert_drawn_from(
        {text: math.exp(value) for text, value in expected.items()}, [identity(h) for h in drawn]
    )
    assert [h.log_prob for h in drawn] == pytest.approx([expected[identity(h)] for h in drawn])


# Laws of every draw

WORDS = [
    {},
    {"barred": (1,)},
    {"banned": [(0, 1), (2, 2, 2)], "bias": {1: 1.0}},
    {"stop_strings": [(0, 1), (2,)]},
]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7, "top_k": 3}, {"top_p": 0.8}])
def test_more_texts_than_there_are_give_all_of_them(
    random_model, rules_for, every_text, settings, words
):
    strings = {name: words.get(name, ()) for name in ("banned", "stop_strings")}
    rules = rules_for(4, 3, **words)
    for seed in range(5):
        model, config = random_model(seed, 4), configure(500, max_new_tokens=4, **settings)

        found = sample_without_replacement(model, (0, 1), config, rules, seed=seed)

        expected = every_text(model, (0, 1), config, rules, sampled=True, **strings)
        assert {identity(h): h.log_prob for h in found} == pytest.approx(
            {identity(h): h.log_prob for h in expected}
        )
        assert len(found) == len(expected)


@pytest.mark.parametrize("count", [1, 2, 5, 20])
@pytest.mark.parametrize("words", WORDS)
def test_texts_are_distinct_and_their_scores_fall(random_model, rules_for, words, count):
    rules = rules_for(4, 3, **words)
    for seed in range(5):
        found = sample_without_replacement(
            random_model(seed, 4), (0,), configure(count, max_new_tokens=8), rules, seed=seed
        )

        assert len(found) == count == len({identity(h) for h in found})
        scores = [h.score for h in found]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("settings", [{}, {"temperature": 0.7, "top_p": 0.9}])
def test_the_first_texts_of_many_are_those_of_few(random_model, rules_for, settings):
    rules = rules_for(5, 4, stop_strings=[(0, 1)])
    for seed in range(10):
        model = random_model(seed, 5)

        def draw(count, model=model, seed=seed):
            config = configure(count, max_new_tokens=6, **settings)
            return sample_without_replacement(model, (0,), config, rules, seed=seed)

        many = draw(40)
        for count in (1, 2, 3, 7, 20):
            assert draw(count) == many[:count]


def test_a_seed_gives_the_same_texts_and_another_seed_others(random_model, rules_for):
    model, rules, config = random_model(0, 5), rules_for(5, 4), configure(5, max_new_tokens=9)

    first, again, other = (
        sample_without_replacement(model, (0,), config, rules, seed=seed) for seed in (3, 3, 4)
    )

    assert first == again
    assert first != other


def test_randomness_comes_from_the_seed_alone(random_model, rules_for):
    before = torch.get_rng_state()

    sample_without_replacement(random_model(0, 5), (0,), configure(5), rules_for(5, 4), seed=3)

    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("shape", [{}, {"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.5}])
@pytest.mark.parametrize(
    ("barred", "settings"),
    [((3,), {"no_repeat_ngram_size": 1}), ((0, 1, 2, 3), {}), ((0, 1, 2), {"min_new_tokens": 1})],
)
def test_a_text_that_cannot_go_on_is_an_error(random_model, rules_for, barred, settings, shape):
    config = configure(2, **{"max_new_tokens": 9} | settings | shape)

    with pytest.raises(ConfigError, match="no token is left"):
        sample_without_replacement(
            random_model(0, 4), (0,), config, rules_for(4, 3, barred=barred), seed=0
        )


# Gumbel variables


def test_gumbels_are_standard_and_differ_between_seeds():
    noise = torch.stack([draw_gumbels(seed, 50)[0] for seed in range(40)])

    assert noise.dtype == torch.float64
    assert kstest(noise.flatten(), gumbel_r.cdf).pvalue > 0.001
    assert len(noise.unique()) == 2000


def test_every_continuation_has_a_seed_of_its_own():
    noise, seeds = draw_gumbels(7, 50)
    again, same_seeds = draw_gumbels(7, 50)

    assert noise.equal(again)
    assert seeds.equal(same_seeds)
    assert len({7, *seeds.tolist()}) == 51
    assert seeds.min() >= 0


def test_the_least_uniform_number_gives_finite_noise(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *size, **options: torch.zeros(*size).double())

    assert draw_gumbels(0, 3)[0].isfinite().all()


def random_values(seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(6, 8, generator=generator, dtype=torch.float64) * 4
    return values, torch.randn(6, 1, generator=generator, dtype=torch.float64) * 4


@pytest.mark.parametrize("seed", range(5))
def test_conditioned_gumbels_follow_their_formula(seed):
    values, limits = random_values(seed)

    conditioned = condition_maximum(values, limits)

    for row, limit, found in zip(
        values.tolist(), limits.flatten().tolist(), conditioned, strict=True
    ):
        expected = [
            -math.log(math.exp(-limit) - math.exp(-max(row)) + math.exp(-value)) for value in row
        ]
        assert found.tolist() == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_conditioned_gumbels_have_the_maximum_they_are_given_and_keep_their_order(seed):
    values, limits = random_values(seed)
    values[:, 3] = -INF

    conditioned = condition_maximum(values, limits)

    assert conditioned.amax(-1, keepdim=True).equal(limits)
    assert conditioned.argsort(-1).equal(values.argsort(-1))
    assert conditioned[:, 3].isneginf().all()
    assert condition_maximum(values, None).equal(values)


def test_gumbels_far_below_their_maximum_stay_finite():
    values = torch.tensor([[0.0, -1e3, -1e6]], dtype=torch.float64)

    for limit in (-800.0, 0.0, 800.0):
        conditioned = condition_maximum(values, torch.tensor([[limit]]))

        assert conditioned.isfinite().all()
        assert conditioned[0, 0] == limit
