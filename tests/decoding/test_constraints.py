"""Texts as far as barred tokens and penalties must remember them."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.decoding import DecodingConfig
from charlm.decoding.constraints import Constraints, check_choice
from charlm.errors import ConfigError

VOCAB_SIZE, STOP = 6, 5
INF = float("inf")
tokens = st.integers(0, VOCAB_SIZE - 1)
strings = st.lists(tokens, min_size=1, max_size=3).map(tuple)


def barred(logits):
    """The barred tokens of each row."""
    return [row.isneginf().nonzero().flatten().tolist() for row in logits]


def constraints(rules_for, prompts, config, **rules):
    return Constraints(DecodingConfig(**config), rules_for(VOCAB_SIZE, STOP, **rules), prompts)


@st.composite
def settings_of_all_kinds(draw):
    config = DecodingConfig(
        max_new_tokens=20,
        min_new_tokens=draw(st.integers(0, 4)),
        repetition_penalty=draw(st.sampled_from([0.5, 1.0, 1.25])),
        presence_penalty=draw(st.sampled_from([0.0, 0.5, -2.0])),
        frequency_penalty=draw(st.sampled_from([0.0, 0.25])),
        no_repeat_ngram_size=draw(st.integers(0, 3)),
    )
    rules = {
        "barred": tuple(draw(st.sets(tokens, max_size=2))),
        "bias": draw(st.dictionaries(tokens, st.sampled_from([-1.0, 0.5, 3.0]), max_size=2)),
        "banned": draw(st.lists(strings.filter(lambda s: len(s) > 1), max_size=2)),
    }
    return config, rules


@settings(max_examples=150)
@given(
    settings_of_all_kinds(),
    st.lists(st.lists(tokens, min_size=1, max_size=5), min_size=1, max_size=3),
    st.data(),
)
def test_rows_are_constrained_by_their_own_texts_wherever_they_go(
    rules_for, constrained, given_settings, prompts, data
):
    config, words = given_settings
    rules, banned = rules_for(VOCAB_SIZE, STOP, **words), words["banned"]
    kept = Constraints(config, rules, prompts)
    texts = [(prompt, []) for prompt in prompts]

    for _ in range(data.draw(st.integers(0, 5))):
        places = st.integers(0, len(texts) - 1)
        rows = data.draw(st.lists(places, min_size=1, max_size=4))
        new = data.draw(st.lists(tokens, min_size=len(rows), max_size=len(rows)))
        kept.select(torch.tensor(rows))
        kept.append(torch.tensor(new))
        texts = [(*texts[row][:1], [*texts[row][1], t]) for row, t in zip(rows, new, strict=True)]
    logits = torch.randn(len(texts), VOCAB_SIZE, generator=torch.Generator().manual_seed(0))
    logits = logits.double()
    before = logits.clone()
    applied = kept.apply(logits)

    for row, (prompt, text) in enumerate(texts):
        expected = constrained(before[row].tolist(), prompt, text, config, rules, banned)
        assert applied[row].tolist() == pytest.approx(expected, rel=1e-12)
    assert logits.equal(before)


def test_repetition_is_of_the_prompt_and_the_text(rules_for):
    kept = constraints(rules_for, [[0, 1, 1]], {"repetition_penalty": 2.0})

    kept.append(torch.tensor([4]))

    logits = torch.tensor([[4.0, -4, 4, -4, -4, 0]])
    assert kept.apply(logits).tolist() == [[2, -8, 4, -4, -8, 0]]


@pytest.mark.parametrize(
    ("penalty", "cost"), [("presence_penalty", 1.0), ("frequency_penalty", 2.0)]
)
def test_presence_and_frequency_are_of_the_text_alone(rules_for, penalty, cost):
    kept = constraints(rules_for, [[0, 1, 1]], {penalty: 1.0})

    for token in (4, 1, 4):
        kept.append(torch.tensor([token]))

    assert kept.apply(torch.zeros(1, VOCAB_SIZE)).tolist() == [[0, -1, 0, 0, -cost, 0]]


def test_penalties_are_as_exact_as_the_logits(rules_for):
    config = {"presence_penalty": 0.7, "frequency_penalty": 0.1}
    kept = constraints(rules_for, [[0]], config)

    kept.append(torch.tensor([2]))

    penalized = kept.apply(torch.zeros(1, VOCAB_SIZE, dtype=torch.float64))
    assert penalized[0, 2].item() == pytest.approx(-0.8, rel=1e-14)


def test_ngrams_begin_in_the_prompt_and_prompts_need_not_be_equally_long(rules_for):
    prompts = [[0, 1, 2, 0], [0], [3, 3, 0, 0, 0]]

    kept = constraints(rules_for, prompts, {"no_repeat_ngram_size": 2})

    assert barred(kept.apply(torch.zeros(3, VOCAB_SIZE))) == [[1], [], [0]]
    kept.append(torch.tensor([2, 0, 3]))
    assert barred(kept.apply(torch.zeros(3, VOCAB_SIZE))) == [[0], [0], [0, 3]]


def test_banned_strings_begin_in_the_prompt(rules_for):
    kept = constraints(rules_for, [[0, 1], [1, 0]], {}, banned=[(0, 1, 2), (0, 3)])

    assert barred(kept.apply(torch.zeros(2, VOCAB_SIZE))) == [[2], [3]]
    kept.append(torch.tensor([0, 1]))
    assert barred(kept.apply(torch.zeros(2, VOCAB_SIZE))) == [[3], [2]]


def test_stop_is_barred_until_enough_tokens_have_come(rules_for):
    kept = constraints(rules_for, [[0, 1, 2]], {"min_new_tokens": 2})

    may_stop = []
    for _ in range(4):
        may_stop.append(barred(kept.apply(torch.zeros(1, VOCAB_SIZE))) == [[]])
        kept.append(torch.tensor([0]))

    assert may_stop == [False, False, True, True]


def test_a_bias_comes_before_penalties(rules_for):
    kept = constraints(rules_for, [[1]], {"repetition_penalty": 2.0}, bias={1: 3.0, 2: -1.0})

    applied = kept.apply(torch.tensor([[0.0, -1, 0, 0, 0, 0]]))

    assert applied.tolist() == [[0, 1, -1, 0, 0, 0]]


def test_a_copy_goes_its_own_way(rules_for):
    config = {"repetition_penalty": 2.0, "frequency_penalty": 1.0, "no_repeat_ngram_size": 2}
    kept = constraints(rules_for, [[0, 1]], config, banned=[(1, 3)])
    logits = torch.full((1, VOCAB_SIZE), 4.0)
    before = kept.apply(logits)

    other = copy.copy(kept)
    other.select(torch.tensor([0]))
    other.append(torch.tensor([0]))

    assert kept.apply(logits).equal(before)
    assert not other.apply(logits).equal(before)


def test_plain_decoding_gives_the_logits_as_they_are(rules_for):
    kept = constraints(rules_for, [[0, 1], [2]], {})
    logits = torch.randn(2, VOCAB_SIZE, dtype=torch.float64)

    kept.append(torch.tensor([1, 1]))

    assert kept.apply(logits).equal(logits)


def test_a_row_without_a_choice_is_an_error():
    logits = torch.zeros(3, VOCAB_SIZE)
    check_choice(logits)
    logits[1, 1:] = -INF
    check_choice(logits)

    logits[1] = -INF
    with pytest.raises(ConfigError, match="no token is left"):
        check_choice(logits)
