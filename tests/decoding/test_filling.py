"""Blanks are filled with what an exhaustive search over all fillings would rank first."""

from itertools import product

import pytest
import torch

from charlm.decoding import Filled, FillingConfig, fill_blanks, join, propose_both_ways
from charlm.decoding.batch import read_prompts
from charlm.errors import ConfigError
from charlm.model import LanguageModel, ModelConfig

SYMBOLS, VOCAB = 5, 8
START, STOP, OTHER = 5, 6, 7
BARRED = (START, STOP, OTHER)


@pytest.fixture(scope="module")
def halves():
    """Two small networks with much to say; the second reads backwards."""
    models = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        config = ModelConfig(vocab_size=VOCAB, hidden_size=8, embedding_size=8)
        model = LanguageModel(config).double().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(4)
        models.append(model)
    return tuple(models)


def log_prob(model, tokens):
    """Of `<start>` ... `<stop>`, read token by token."""
    with torch.no_grad():
        total, state = 0.0, model.initial_state(1)
        for token, after in zip([START, *tokens], [*tokens, STOP], strict=True):
            logits, state = model.step(torch.tensor([token]), state)
            total += float(logits[0].log_softmax(-1)[after])
    return total


def make(halves, config):
    """What `fill_blanks` needs of them."""

    def propose(number, left, right):
        with torch.no_grad():
            prompts = (START, *left), (START, *right[::-1])
            return propose_both_ways(halves, prompts, BARRED, config)

    def rank(texts):
        forward, backward = halves
        return [(log_prob(forward, t) + log_prob(backward, t[::-1])) / 2 for t in texts]

    return propose, rank


def every_filling(parts, most, rank):
    """All ways to fill, best first."""
    own = [ids for n in range(1, most + 1) for ids in product(range(SYMBOLS), repeat=n)]
    ways = list(product(own, repeat=len(parts) - 1))
    values = rank([join(parts, way) for way in ways])
    return sorted(zip(ways, values, strict=True), key=lambda pair: -pair[1])


@pytest.mark.parametrize(
    ("parts", "most"),
    [
        ([(0, 1, 2), (3, 4)], 1),
        ([(), (3, 4)], 1),
        ([(0, 1), ()], 2),
        ([(0, 1), (2,)], 2),
        ([(0,), (1, 2), (3,)], 1),
        ([(), (), ()], 1),
    ],
)
def test_wide_enough_it_finds_what_exhaustive_search_finds(halves, parts, most):
    config = FillingConfig(max_blank_tokens=most, width=SYMBOLS**2, num_fillings=6)
    propose, rank = make(halves, config)

    found = fill_blanks(parts, propose, rank, config)[:6]

    expected = every_filling(parts, most, rank)[:6]
    assert [each.fillings for each in found] == [way for way, _ in expected]
    assert [each.log_prob for each in found] == pytest.approx([value for _, value in expected])


def test_several_blanks_are_filled_once_more_until_nothing_is_better(halves):
    parts = [(0,), (), (2,)]
    config = FillingConfig(width=3, num_fillings=3)
    propose, rank = make(halves, config)

    found = fill_blanks(parts, propose, rank, config)

    best = found[0].fillings
    for number in range(2):
        for token in range(SYMBOLS):
            other = (*best[:number], (token,), *best[number + 1 :])
            assert rank([join(parts, other)])[0] <= found[0].log_prob + 1e-9


def test_a_single_token_is_proposed_from_either_side_and_from_both(halves):
    config = FillingConfig(width=1)
    left, right = (0, 1), (3, 4)
    with torch.no_grad():
        found = propose_both_ways(halves, ((START, *left), (START, *right[::-1])), BARRED, config)
        sides = [
            read_prompts(model, [prompt])[0][0].log_softmax(-1)[:SYMBOLS]
            for model, prompt in zip(halves, [(START, 0, 1), (START, 4, 3)], strict=True)
        ]

    expected = {int(side.argmax()) for side in (*sides, sides[0] + sides[1])}
    assert {ids for ids in found} == {(token,) for token in expected}


def test_longer_proposals_of_the_backward_model_are_turned_round(halves):
    config = FillingConfig(max_blank_tokens=2, width=1)
    forward, backward = halves
    told_apart = 0
    for right in product(range(SYMBOLS), repeat=2):
        behind = (START, *right[::-1])
        with torch.no_grad():
            found = propose_both_ways(halves, ((START,), behind), BARRED, config)
            logits, state = read_prompts(backward, [behind])
            last = int(logits[0, :SYMBOLS].argmax())
            logits, _ = backward.step(torch.tensor([last]), state)
            first = int(logits[0, :SYMBOLS].argmax())
            logits, state = read_prompts(forward, [(START,)])
            begun = int(logits[0, :SYMBOLS].argmax())
            logits, _ = forward.step(torch.tensor([begun]), state)
            ahead = (begun, int(logits[0, :SYMBOLS].argmax()))

        assert {ids for ids in found if len(ids) == 2} == {ahead, (first, last)}
        told_apart += first != last and (last, first) != ahead
    assert told_apart


@pytest.mark.parametrize("width", [1, 3])
def test_no_filling_begins_as_it_may_not(halves, width):
    config = FillingConfig(max_blank_tokens=3, width=width)
    with torch.no_grad():
        found = propose_both_ways(halves, ((START,), (START, 4, 3)), BARRED, config, [0, 1, 2])

    assert found and {ids[0] for ids in found} <= {3, 4}
    assert {len(ids) for ids in found} == {1, 2, 3}


def test_marks_fill_no_blank(halves):
    config = FillingConfig(max_blank_tokens=2, width=50)
    with torch.no_grad():
        found = propose_both_ways(halves, ((START,), (START,)), BARRED, config)

    assert len(found) == SYMBOLS + SYMBOLS**2
    assert max(token for ids in found for token in ids) < SYMBOLS


def test_parts_are_joined_with_fillings_between_them():
    assert join([(1,), (2, 3), ()], [(7, 8), (9,)]) == (1, 7, 8, 2, 3, 9)
    assert join([(1,), (2,)], []) == (1, 2)
    assert Filled(((1,),), -2.0).log_prob == -2.0


@pytest.mark.parametrize("name", ["max_blank_tokens", "width", "num_fillings"])
def test_settings_are_at_least_one(name):
    with pytest.raises(ConfigError, match=f"{name} must be at least 1, not 0"):
        FillingConfig(**{name: 0})
