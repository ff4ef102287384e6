"""Banned strings of symbols are never written, and nothing else is barred for them."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.decoding import Bans, DecodingConfig, Rules, generate_tokens, tokens_with
from charlm.errors import ConfigError

many = settings(max_examples=150)


@st.composite
def alphabets(draw):
    """Spellings of tokens, and strings that are banned; over so few symbols that they meet."""
    symbol = st.integers(0, draw(st.integers(0, 3)))
    spelling = st.lists(symbol, max_size=3).map(tuple)
    string = st.lists(symbol, min_size=1, max_size=4).map(tuple)
    spellings = draw(st.lists(spelling, min_size=1, max_size=8))
    return spellings, draw(st.lists(string, min_size=1, max_size=3))


def spell(tokens, spellings):
    return tuple(symbol for token in tokens for symbol in spellings[token])


def holds(text, string, first_end=0):
    """Whether `string` is in `text`, ending after place `first_end`."""
    places = range(len(string), len(text) + 1)
    return any(text[end - len(string) : end] == string for end in places if end > first_end)


def bar_whole(strings, spellings):
    return {token for string in strings for token in tokens_with(string, spellings)}


@many
@given(alphabets())
def test_tokens_with_a_string_are_those_that_spell_it(alphabet):
    spellings, (string, *_) = alphabet

    found = tokens_with(string, spellings)

    assert found == [token for token, spelling in enumerate(spellings) if holds(spelling, string)]


@many
@given(alphabets(), st.data())
def test_exactly_those_tokens_are_barred_that_would_complete_a_banned_string(alphabet, data):
    spellings, strings = alphabet
    bans, whole = Bans(strings, spellings), bar_whole(strings, spellings)
    tokens = data.draw(st.lists(st.integers(0, len(spellings) - 1), max_size=8))

    end = ()
    for token in tokens:
        end = bans.extend(end, token)
    barred = {*bans.completing(end), *whole}

    text = spell(tokens, spellings)
    assert barred == {
        token
        for token, spelling in enumerate(spellings)
        if any(holds(text + spelling, string, len(text)) for string in strings)
    }


@many
@given(alphabets(), st.data())
def test_the_end_that_is_remembered_is_no_longer_than_it_need_be(alphabet, data):
    spellings, strings = alphabet
    bans = Bans(strings, spellings)
    tokens = data.draw(st.lists(st.integers(0, len(spellings) - 1), max_size=8))

    end = ()
    for token in tokens:
        end = bans.extend(end, token)

    text, memory = spell(tokens, spellings), max(map(len, strings)) - 1
    assert end == text[max(0, len(text) - memory) :]


@many
@given(alphabets(), st.data(), st.integers(0, 2**32))
def test_no_text_written_under_bans_holds_a_banned_string(markov_model, alphabet, data, seed):
    spellings, strings = alphabet
    vocab_size = len(spellings) + 1
    prompt = data.draw(st.lists(st.integers(0, len(spellings) - 1), min_size=1, max_size=4))
    rules = Rules(
        vocab_size=vocab_size,
        stop_id=len(spellings),
        barred=tuple(bar_whole(strings, spellings)),
        bans=Bans(strings, [*spellings, ()]),
    )
    model = markov_model(torch.zeros(vocab_size, vocab_size))
    config = DecodingConfig(max_new_tokens=20, min_new_tokens=20)

    written = []
    try:
        generator = torch.Generator().manual_seed(seed)
        for step in generate_tokens(model, [prompt], config, rules, generators=[generator]):
            written += step.tokens
    except ConfigError:
        pass  # nothing is left that may be written

    text, length = spell([*prompt, *written], spellings), len(spell(prompt, spellings))
    assert not any(holds(text, string, length) for string in strings)


def test_a_banned_string_may_straddle_prompt_and_tokens():
    spellings = [(0,), (1,), (0, 1), (1, 0, 0)]
    bans = Bans([(0, 1, 0)], spellings)

    assert bans.completing(()) == []
    assert bans.completing(bans.extend((), 0)) == [3]
    assert set(bans.completing(bans.extend((), 2))) == {0, 2}


def test_rules_of_a_plain_model_bar_and_favour_nothing():
    rules = Rules(vocab_size=5, stop_id=4)

    assert (rules.barred, rules.bias, rules.bans, rules.watch) == ((), {}, None, None)


def test_rules_are_named():
    with pytest.raises(TypeError):
        Rules(5, 4)
