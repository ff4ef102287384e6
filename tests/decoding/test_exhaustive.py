"""Exhaustive search against recursion over every text."""

import math

import pytest
import torch

from charlm.decoding import DecodingConfig, Rules, exhaustive, exhaustive_search
from charlm.decoding.exhaustive import count_texts
from charlm.errors import ConfigError

VOCAB_SIZE, STOP = 4, 3
SPACES = [
    ({}, {}),
    ({"length_penalty": 0.0}, {"barred": (0,)}),
    ({"length_penalty": -0.7}, {"barred": (STOP,)}),
    ({"length_penalty": 2.0, "min_new_tokens": 2}, {}),
    ({}, {"bias": {0: -1.0, STOP: 2.0}}),
    ({}, {"stop_strings": [(0, 1), (2,)]}),
    ({"min_new_tokens": 1}, {"banned": [(0, 1), (2, 2), (1, 0, 0)], "stop_strings": [(1, 1)]}),
    ({"repetition_penalty": 1.5, "frequency_penalty": 0.3}, {}),
    ({"no_repeat_ngram_size": 1, "presence_penalty": -0.4}, {}),
]


def configure(**settings):
    return DecodingConfig(exhaustive=True, **settings)


@pytest.mark.parametrize(("settings", "words"), SPACES)
def test_every_text_is_found_best_first(
    random_model, rules_for, every_text, assert_same, settings, words
):
    prompt, rules = (0, 2), rules_for(VOCAB_SIZE, STOP, **words)
    strings = {name: words.get(name, ()) for name in ("banned", "stop_strings")}
    for seed in range(8):
        model = random_model(seed, VOCAB_SIZE)
        config = configure(max_new_tokens=2 + seed % 3, num_return_sequences=1000, **settings)

        found = exhaustive_search(model, prompt, config, rules)

        assert_same(found, every_text(model, prompt, config, rules, **strings))


@pytest.mark.parametrize("number", [1, 2, 7, 40])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
@pytest.mark.parametrize("chunk", [1, 3, 512])
def test_the_best_few_are_the_first_of_all(
    random_model, rules_for, every_text, assert_same, monkeypatch, chunk, length_penalty, number
):
    monkeypatch.setattr(exhaustive, "CHUNK", chunk)
    model, rules = random_model(1, VOCAB_SIZE), rules_for(4, STOP)
    config = configure(max_new_tokens=5, num_return_sequences=number, length_penalty=length_penalty)

    found = exhaustive_search(model, (0,), config, rules)

    assert_same(found, every_text(model, (0,), config, rules)[:number])
    assert max(model.batch_sizes) <= chunk


def test_more_texts_than_a_chunk_are_searched(markov_model, rules_for, every_text, assert_same):
    table = torch.randn(7, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    config = configure(max_new_tokens=5, num_return_sequences=3, length_penalty=0.3)
    rules = rules_for(7, 6)

    found = exhaustive_search(markov_model(table), (0,), config, rules)

    assert_same(found, every_text(markov_model(table), (0,), config, rules)[:3])


@pytest.mark.parametrize("max_new_tokens", [1, 2, 4])
@pytest.mark.parametrize("min_new_tokens", [0, 1, 4])
@pytest.mark.parametrize("barred", [(), (0,), (STOP,), (0, 1, 2), (0, 0, STOP), (0, 1, 2, STOP)])
def test_the_count_is_that_of_all_texts(
    random_model, rules_for, every_text, barred, min_new_tokens, max_new_tokens
):
    rules = rules_for(VOCAB_SIZE, STOP, barred=barred)
    config = configure(
        max_new_tokens=max_new_tokens, min_new_tokens=min(min_new_tokens, max_new_tokens)
    )

    count = count_texts(config, rules)

    assert count == len(every_text(random_model(0, VOCAB_SIZE), (0,), config, rules))


@pytest.mark.parametrize(
    ("vocab_size", "max_new_tokens", "in_words"),
    [
        (11, 6, "1,111,111 texts of up to 6 tokens"),
        (11, 11, "111,111,111,111 texts"),
        (11, 12, "about 10^12 texts"),
        (101, 400, "about 10^800 texts"),
    ],
)
def test_too_many_texts_are_an_error_that_says_how_many(
    random_model, rules_for, vocab_size, max_new_tokens, in_words
):
    model = random_model(0, vocab_size)

    with pytest.raises(ConfigError) as caught:
        exhaustive_search(
            model, (0,), configure(max_new_tokens=max_new_tokens), rules_for(vocab_size, 0)
        )

    assert f"there are {in_words}" in str(caught.value)
    assert "1,000,000 at most" in str(caught.value)
    assert model.batch_sizes == []


def test_as_many_texts_as_are_looked_at_at_most_are_not_too_many(
    random_model, rules_for, monkeypatch
):
    model, config, rules = random_model(0, 4), configure(max_new_tokens=3), rules_for(4, STOP)

    monkeypatch.setattr(exhaustive, "MAX_TEXTS", 1 + 3 + 9 + 27)
    assert len(exhaustive_search(model, (0,), config, rules)) == 1
    monkeypatch.setattr(exhaustive, "MAX_TEXTS", 39)
    with pytest.raises(ConfigError, match="there are 40 texts"):
        exhaustive_search(model, (0,), config, rules)


def test_texts_without_probability_are_none(prefix_model, rules_for):
    model = prefix_model(lambda prefix: torch.tensor([0.5, 0.5, 0.0, 0.0]).log())
    config = configure(max_new_tokens=2, num_return_sequences=100)

    found = exhaustive_search(model, (0,), config, rules_for(4, STOP))

    assert {h.tokens for h in found} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert [math.exp(h.log_prob) for h in found] == pytest.approx([0.25] * 4)


def test_texts_that_run_into_barred_tokens_alone_are_an_error(random_model, rules_for):
    config = configure(max_new_tokens=5, no_repeat_ngram_size=1)

    with pytest.raises(ConfigError, match="no text is left"):
        exhaustive_search(random_model(0, 4), (0,), config, rules_for(4, STOP, barred=(STOP,)))


class Constant:
    """The same logits for ever."""

    def initial_state(self, batch_size):
        return ((torch.zeros(batch_size, 1),),)

    def step(self, tokens, state):
        return torch.tensor([[0.0, -math.inf, -5.0]]).expand(len(tokens), 3), state


def test_a_long_narrow_space_is_searched_without_recursion():
    config = DecodingConfig(exhaustive=True, max_new_tokens=1500, length_penalty=0.0)

    (best,) = exhaustive_search(
        Constant(), (1,), config, Rules(vocab_size=3, stop_id=2, barred=(1,))
    )

    assert best.tokens == ()


@pytest.mark.parametrize("max_new_tokens", [20, 10**6, 10**9])
def test_a_space_beyond_counting_is_refused_at_once(prefix_model, max_new_tokens):
    config = DecodingConfig(exhaustive=True, max_new_tokens=max_new_tokens)

    with pytest.raises(ConfigError, match=r"there are about 10\^\d+ texts"):
        exhaustive_search(
            prefix_model(lambda _: torch.zeros(12)), (0,), config, Rules(vocab_size=12, stop_id=11)
        )
