"""Beam search against exhaustive search and against greedy decoding."""

import pytest
import torch

from charlm.decoding import DecodingConfig, Hypothesis, beam_search, generate_tokens
from charlm.model import LanguageModel, ModelConfig

INF = float("inf")
STOP = 3
NO_STOP = -1  # a token that the model does not have


def search(model, *, prompt=(0,), barred=(), stop_id=STOP, **settings):
    return beam_search(model, prompt, DecodingConfig(**settings), barred=barred, stop_id=stop_id)


def exhaustive_search(model, prompt, max_new_tokens, penalty, barred, stop_id):
    """Every text that ends by <stop> or by length, best first."""
    found = []

    def extend(tokens, log_prob):
        if len(tokens) == max_new_tokens:
            found.append(Hypothesis(tokens, log_prob, log_prob / len(tokens) ** penalty, False))
            return
        log_probs = model.logits_after((*prompt, *tokens)).double().log_softmax(-1).tolist()
        for token, more in enumerate(log_probs):
            if token in barred:
                continue
            if token == stop_id:
                score = (log_prob + more) / (len(tokens) + 1) ** penalty
                found.append(Hypothesis(tokens, log_prob + more, score, True))
            else:
                extend((*tokens, token), log_prob + more)

    extend((), 0.0)
    return sorted(found, key=lambda h: h.score, reverse=True)


def assert_same(found, expected):
    assert [(h.tokens, h.finished) for h in found] == [(h.tokens, h.finished) for h in expected]
    assert [h.log_prob for h in found] == pytest.approx([h.log_prob for h in expected])
    assert [h.score for h in found] == pytest.approx([h.score for h in expected])


@pytest.mark.parametrize("barred", [(), (1,), (0, 2)])
@pytest.mark.parametrize("stop_id", [STOP, NO_STOP])
@pytest.mark.parametrize("length_penalty", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(8))
def test_a_beam_as_wide_as_the_space_equals_exhaustive_search(
    random_model, seed, length_penalty, stop_id, barred
):
    model, max_new_tokens = random_model(seed, 4), 1 + seed % 4
    expected = exhaustive_search(model, (0, 2), max_new_tokens, length_penalty, barred, stop_id)

    found = search(
        model,
        prompt=(0, 2),
        barred=barred,
        stop_id=stop_id,
        beam=len(expected) + 1,
        max_new_tokens=max_new_tokens,
        length_penalty=length_penalty,
    )

    assert_same(found, expected)


@pytest.mark.parametrize("seed", range(20))
def test_without_length_penalty_a_beam_that_cuts_no_growing_text_finds_the_best_ones(
    random_model, seed
):
    model = random_model(seed, 4)
    expected = exhaustive_search(model, (0,), 4, 0.0, (), STOP)

    # At most 3 ** 3 texts grow before the last step, and none gets better by growing.
    found = search(model, beam=27, max_new_tokens=4, length_penalty=0.0)

    assert_same(found, expected[:27])


@pytest.mark.parametrize("length_penalty", [-1.0, 0.0, 1.0, 2.0])
@pytest.mark.parametrize("barred", [(), (0, 2)])
@pytest.mark.parametrize("seed", range(10))
def test_a_beam_of_one_is_greedy(random_model, seed, barred, length_penalty):
    model = random_model(seed, 5)
    greedy = generate_tokens(
        model,
        (0,),
        DecodingConfig(greedy=True, max_new_tokens=12),
        barred=barred,
        stop_id=STOP,
        generator=torch.Generator(),
    )

    (best,) = search(model, barred=barred, beam=1, max_new_tokens=12, length_penalty=length_penalty)

    assert best.tokens == tuple(greedy)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("length_penalty", [-0.5, 0.0, 0.7, 1.0])
@pytest.mark.parametrize("beam", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_hypotheses_are_what_they_say(random_model, seed, beam, length_penalty, early_stopping):
    model = random_model(seed, 5)

    found = search(
        model,
        barred=(1,),
        beam=beam,
        max_new_tokens=6,
        length_penalty=length_penalty,
        early_stopping=early_stopping,
    )

    assert len(found) == beam == len({(h.tokens, h.finished) for h in found})
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    for h in found:
        assert 1 not in h.tokens
        assert STOP not in h.tokens
        assert len(h.tokens) < 6 if h.finished else len(h.tokens) == 6
        path = (*h.tokens, STOP) if h.finished else h.tokens
        log_probs = [
            model.logits_after((0, *path[:t])).double().log_softmax(-1)[token].item()
            for t, token in enumerate(path)
        ]
        assert h.log_prob == pytest.approx(sum(log_probs))
        assert h.score == pytest.approx(h.log_prob / len(path) ** length_penalty)


@pytest.mark.parametrize("seed", range(10))
def test_no_beam_beats_exhaustive_search(random_model, seed):
    model = random_model(seed, 4)
    (best, *_) = exhaustive_search(model, (0,), 4, 0.0, (), STOP)

    scores = [search(model, beam=b, max_new_tokens=4, length_penalty=0.0)[0].score for b in (1, 3)]

    assert all(score <= best.score + 1e-9 for score in scores)


def tree(prefix_model, probabilities):
    """A model from the probabilities that follow each prefix."""

    def logits_after(prefix):
        return torch.tensor(probabilities[prefix], dtype=torch.float64).log()

    return prefix_model(logits_after)


def test_a_beam_finds_what_greedy_decoding_misses(prefix_model):
    model = tree(
        prefix_model,
        {
            (0,): [0.6, 0.4, 0.0],
            (0, 0): [0.4, 0.3, 0.3],
            (0, 1): [0.9, 0.1, 0.0],
        },
    )

    (greedy,) = search(model, stop_id=2, beam=1, max_new_tokens=2)
    best, second = search(model, stop_id=2, beam=2, max_new_tokens=2, length_penalty=0.0)

    assert greedy.tokens == (0, 0)
    assert (best.tokens, second.tokens) == ((1, 0), (0, 0))
    assert best.log_prob == pytest.approx(torch.tensor(0.36).log().item())


def test_a_text_that_ends_takes_no_place_from_those_that_grow(prefix_model):
    model = tree(
        prefix_model,
        {
            (0,): [0.3, 0.25, 0.45],
            (0, 0): [0.5, 0.5, 0.0],
            (0, 1): [1.0, 0.0, 0.0],
        },
    )

    found = search(model, stop_id=2, beam=2, max_new_tokens=2, length_penalty=0.0)

    assert [h.tokens for h in found] == [(), (1, 0)]


EARLY = {
    (0,): [0.6, 0.4],  # token 0 goes on, token 1 stops
    (0, 0): [0.6, 0.4],
    (0, 0, 0): [0.0, 1.0],
}


def test_early_stopping_ends_as_soon_as_the_beam_is_full(prefix_model):
    model = tree(prefix_model, EARLY)

    found = search(
        model, stop_id=1, beam=2, max_new_tokens=9, length_penalty=0.0, early_stopping=True
    )

    assert [h.tokens for h in found] == [(), (0,)]
    assert [h.score for h in found] == pytest.approx(torch.tensor([0.4, 0.24]).log().tolist())
    assert model.num_steps == 2


def test_without_early_stopping_a_full_beam_goes_on_while_something_better_grows(prefix_model):
    model = tree(prefix_model, EARLY)

    found = search(model, stop_id=1, beam=2, max_new_tokens=9, length_penalty=0.0)

    assert [h.tokens for h in found] == [(), (0, 0)]
    assert [h.score for h in found] == pytest.approx(torch.tensor([0.4, 0.36]).log().tolist())
    assert model.num_steps == 3


def test_the_search_ends_when_nothing_that_grows_can_win(prefix_model):
    model = tree(prefix_model, {(0,): [0.1, 0.9]})

    (best,) = search(model, stop_id=1, beam=1, max_new_tokens=100, length_penalty=0.0)

    assert (best.tokens, best.finished) == ((), True)
    assert model.num_steps == 1


@pytest.mark.parametrize("beam", [1, 2, 7])
def test_a_length_penalty_of_one_prefers_the_better_mean(prefix_model, beam):
    model = tree(
        prefix_model,
        {
            (0,): [0.55, 0.45],
            (0, 0): [0.9, 0.1],
            (0, 0, 0): [0.9, 0.1],
        },
    )

    best = search(model, stop_id=1, beam=beam, max_new_tokens=3, length_penalty=1.0)[0]

    assert best == Hypothesis(
        (0, 0, 0),
        pytest.approx(torch.tensor(0.55 * 0.81).log().item(), rel=1e-6),
        pytest.approx(torch.tensor(0.55 * 0.81).log().item() / 3, rel=1e-6),
        False,
    )


@pytest.mark.parametrize("max_new_tokens", [1, 2, 5])
def test_fewer_texts_than_the_beam_are_all_found(random_model, max_new_tokens):
    model = random_model(0, 2)

    found = search(model, stop_id=1, beam=50, max_new_tokens=max_new_tokens)

    assert len(found) == max_new_tokens + 1
    assert sorted(len(h.tokens) for h in found) == list(range(max_new_tokens + 1))
    assert sum(not h.finished for h in found) == 1


def test_all_probability_on_stop_gives_the_empty_text(prefix_model):
    model = tree(prefix_model, {(0,): [0.0, 1.0]})

    found = search(model, stop_id=1, beam=4, max_new_tokens=5)

    assert found == [Hypothesis((), 0.0, 0.0, True)]


def test_barred_tokens_cost_their_probability(prefix_model):
    model = tree(prefix_model, {(0,): [0.5, 0.2, 0.3]})

    found = search(model, stop_id=NO_STOP, barred=(0,), beam=2, max_new_tokens=1)

    assert [h.tokens for h in found] == [(2,), (1,)]
    assert [h.log_prob for h in found] == pytest.approx(torch.tensor([0.3, 0.2]).log().tolist())


@pytest.mark.parametrize("length_penalty", [-10.0, 10.0])
def test_the_largest_length_penalties_can_be_searched_with(random_model, length_penalty):
    assert search(random_model(0, 4), beam=2, length_penalty=length_penalty, max_new_tokens=4)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("beam", [2, 5])
def test_a_language_model_is_searched_by_its_logits_over_whole_texts(cell, beam, prefix_model):
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_size": 8, "num_layers": 2}
    model = LanguageModel(ModelConfig(vocab_size=6, cell=cell, **sizes)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)

    def logits_after(prefix):
        return model(torch.tensor([prefix]), model.initial_state(1))[0][0, -1]

    found = search(model, beam=beam, max_new_tokens=8)
    expected = search(prefix_model(logits_after), beam=beam, max_new_tokens=8)

    assert [h.tokens for h in found] == [h.tokens for h in expected]
    assert [h.score for h in found] == pytest.approx([h.score for h in expected], rel=1e-4)
