"""Writing with a cache: the probabilities of reading with one, in any company and any search."""

import math
from dataclasses import asdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.cells import concat_states, map_state, select_state
from charlm.data import NOT_PREDICTED
from charlm.decoding import (
    CachedSteps,
    DecodingConfig,
    Rules,
    beam_search,
    exhaustive_search,
    generate_tokens,
    read_prompts,
)
from charlm.evaluation import CacheConfig, CachedPredictor, NetworkPredictor
from charlm.kernels import load_kernel
from charlm.model import ChunkModel, LanguageModel, ModelConfig, fastest_steps

VOCAB_SIZE, START, STOP = 9, 7, 8
CACHE = CacheConfig(size=5, flatness=0.8, weight=0.4)
RULES = Rules(vocab_size=VOCAB_SIZE, stop_id=STOP)
PROMPTS = [(START, 1, 2, 1), (START,), (START, 3), (START, 1, 2, 1, 4, 4, 2, 1), (START, 3, 3)]


class LastToken:
    """Its hidden vector is the last token, one-hot; all tokens are equally probable."""

    def initial_state(self, batch_size):
        return ((torch.zeros(batch_size, VOCAB_SIZE),),)

    def step(self, tokens, state):
        return torch.zeros(len(tokens), VOCAB_SIZE), ((torch.eye(VOCAB_SIZE)[tokens],),)

    def hidden(self, state):
        return state[0][0]


def random_model(cell="lstm", size=12):
    torch.manual_seed(0)
    sizes = {"embedding_size": size, "hidden_size": size, "num_layers": 2}
    model = LanguageModel(ModelConfig(vocab_size=VOCAB_SIZE, cell=cell, **sizes)).eval()
    with torch.no_grad():
        model.body.embedding.weight.normal_(0, 2)
        model.head.projection.bias.normal_(0, 2)
    return model


def cached(model, config=CACHE):
    return CachedSteps(model, START, **asdict(config))


def run(steps, tokens, state=None):
    """Logits (time, batch, vocab_size) of stepping over tokens (batch, time); the last state."""
    tokens = torch.as_tensor(tokens)
    state = steps.initial_state(len(tokens)) if state is None else state
    logits = []
    with torch.inference_mode():
        for column in tokens.T:
            after, state = steps.step(column, state)
            logits.append(after)
    return torch.stack(logits), state


def probs_after(steps, tokens):
    """What follows the last of some tokens, (vocab_size,)."""
    return run(steps, [tokens])[0][-1, 0].softmax(-1)


def read(model, config, tokens):
    """Log P of every token after each of `tokens`, by `CachedPredictor`: (time, vocab_size)."""
    predictor = CachedPredictor(NetworkPredictor(model), config)
    followers = [*tokens[1:], START]
    targets = [NOT_PREDICTED if token == START else token for token in followers]
    predictions, _ = predictor.predict(
        torch.tensor([tokens]), torch.tensor([targets]), predictor.initial_state(1)
    )
    return predictions.distribution()[0]


# -- probabilities ----------------------------------------------------------------------------


def test_what_followed_in_like_places_comes_again_by_hand():
    steps = cached(LastToken(), CacheConfig(size=9, flatness=0.8, weight=0.4))

    found = probs_after(steps, [START, 1, 2, 1])

    # <start> was followed by 1, 1 by 2 and 2 by 1; now it is 1 again.
    like, unlike = math.exp(0.8) / (math.exp(0.8) + 2), 1 / (math.exp(0.8) + 2)
    expected = torch.full((VOCAB_SIZE,), 0.6 / VOCAB_SIZE)
    expected[2] += 0.4 * like
    expected[1] += 0.4 * 2 * unlike
    torch.testing.assert_close(found, expected)


configs = st.builds(
    CacheConfig,
    size=st.integers(1, 12),
    flatness=st.floats(0, 3),
    weight=st.floats(0.01, 0.99),
)


@pytest.mark.parametrize("cell", ["rnn", "rnn-relu", "lstm", "gru"])
@settings(max_examples=15)
@given(st.lists(st.integers(0, VOCAB_SIZE - 1), min_size=1, max_size=25), configs)
def test_step_by_step_the_distributions_are_those_of_reading(cell, tokens, config):
    model, tokens = random_model(cell), [START, *tokens]

    logits, _ = run(cached(fastest_steps(model, 1), config), [tokens])

    expected = read(model, config, tokens).float()
    torch.testing.assert_close(logits[:, 0].log_softmax(-1), expected, rtol=1e-4, atol=1e-4)


def test_the_logits_are_log_probabilities():
    logits, _ = run(cached(fastest_steps(random_model(), 1)), torch.randint(VOCAB_SIZE, (6, 20)))

    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(20, 6))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_the_logits_are_of_the_networks_type(dtype):
    class Typed(LastToken):
        def step(self, tokens, state):
            logits, after = super().step(tokens, state)
            return logits.to(dtype), after

    logits, _ = run(cached(Typed()), [[START, 1, 2, 1]])
    expected, _ = run(cached(LastToken()), [[START, 1, 2, 1]])

    assert logits.dtype == dtype
    torch.testing.assert_close(logits, expected.to(dtype))


def test_before_anything_can_be_remembered_the_networks_own_probabilities_hold():
    steps = fastest_steps(random_model(), 1)

    logits, _ = run(cached(steps), [[START], [3]])
    plain, _ = run(steps, [[START], [3]])

    torch.testing.assert_close(logits[0, 0], plain[0, 0].log_softmax(-1))
    assert not logits[0, 1].allclose(plain[0, 1].log_softmax(-1))  # 3 follows nothing


@pytest.mark.parametrize("size", [1, 2, 5])
def test_no_more_than_so_many_tokens_are_remembered(size):
    steps = cached(LastToken(), CacheConfig(size=size, flatness=0.8, weight=0.4))
    recent = [1, 2, 3, 2, 1, 3][: size + 1]

    found = probs_after(steps, [START, 4, 4, 5, 6, *recent])

    torch.testing.assert_close(found, probs_after(steps, [START, 6, 0, 0, 0, 5, *recent]))
    longer = CacheConfig(size=size + 1, flatness=0.8, weight=0.4)
    assert not found.allclose(probs_after(cached(LastToken(), longer), [START, 4, 4, 6, *recent]))


def test_a_text_does_not_follow_from_the_end_of_the_one_before():
    steps = cached(LastToken(), CacheConfig(size=9, flatness=0.0, weight=0.4))

    found = probs_after(steps, [START, 1, STOP, START])

    expected = torch.full((VOCAB_SIZE,), 0.6 / VOCAB_SIZE)
    expected[[1, STOP]] += 0.4 / 2  # and not <start>, which is never predicted
    torch.testing.assert_close(found, expected)


# -- states -----------------------------------------------------------------------------------


def assert_same(actual, expected):
    """To the last bit where the step is compiled."""
    tolerance = 1e-6 if load_kernel() is None else 0
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("batch_size", [2, 3, 16, 33])
@pytest.mark.parametrize("cell", ["rnn", "rnn-relu", "lstm", "gru"])
def test_a_row_does_not_feel_its_batch(cell, batch_size):
    remembering = CacheConfig(size=33, flatness=0.3, weight=0.4)
    steps = cached(fastest_steps(random_model(cell, size=100), 1), remembering)
    tokens = torch.randint(VOCAB_SIZE, (batch_size, 40))

    together, _ = run(steps, tokens)

    for row in (0, 1, batch_size - 1):
        assert_same(run(steps, tokens[row : row + 1])[0][:, 0], together[:, row])


def test_rows_go_on_as_they_would_wherever_they_are_moved():
    steps = cached(fastest_steps(random_model(), 1))
    tokens = torch.randint(VOCAB_SIZE, (4, 10))
    whole, _ = run(steps, tokens)

    _, state = run(steps, tokens[:, :6])
    moved = select_state(state, torch.tensor([2, 0, 2]))
    _, other = run(steps, tokens[3:, :6])

    after, _ = run(steps, tokens[[2, 0, 2, 3], 6:], concat_states([moved, other]))
    assert_same(after, whole[6:, [2, 0, 2, 3]])


def test_a_step_leaves_the_state_it_started_from():
    steps = cached(fastest_steps(random_model(), 1))
    _, state = run(steps, torch.randint(VOCAB_SIZE, (3, 8)))
    before = map_state(torch.clone, state)

    first, _ = steps.step(torch.tensor([1, 2, 3]), state)
    again, _ = steps.step(torch.tensor([1, 2, 3]), state)

    assert_same(first, again)
    for layer, kept in zip(state, before, strict=True):
        for tensor, copy in zip(layer, kept, strict=True):
            assert tensor.equal(copy)


def test_prompts_of_any_length_are_read_together():
    steps = cached(fastest_steps(random_model(), 1))

    logits, _ = read_prompts(steps, PROMPTS)

    for prompt, found in zip(PROMPTS, logits, strict=True):
        assert_same(found, run(steps, [prompt])[0][-1, 0])


# -- decoding ---------------------------------------------------------------------------------


def write(steps, prompts, **settings):
    """The tokens of each text."""
    written = generate_tokens(
        steps,
        prompts,
        DecodingConfig(max_new_tokens=12, **settings),
        RULES,
        generators=[torch.Generator().manual_seed(hash(prompt) % 1000) for prompt in prompts],
    )
    texts = [[] for _ in prompts]
    for step in written:
        for row, token in zip(step.rows, step.tokens, strict=True):
            texts[row].append(token)
    return texts


def test_nothing_is_written_behind_the_caches_back():
    assert not isinstance(cached(fastest_steps(random_model(), 1)), ChunkModel)


def test_greedy_text_is_what_reading_holds_for_likeliest():
    model = random_model()

    texts = write(cached(fastest_steps(model, 1)), PROMPTS, greedy=True)

    for prompt, text in zip(PROMPTS, texts, strict=True):
        tokens = list(prompt)
        for token in text:
            assert token == read(model, CACHE, tokens)[-1].argmax().item()
            tokens.append(token)


@pytest.mark.parametrize("mode", [{}, {"greedy": True}], ids=str)
def test_each_text_is_the_same_alone_and_among_others(mode):
    steps = cached(fastest_steps(random_model(), 1))

    together = write(steps, PROMPTS, **mode)

    assert [write(steps, [prompt], **mode)[0] for prompt in PROMPTS] == together
    assert together != write(fastest_steps(random_model(), 1), PROMPTS, **mode)


def test_a_wide_beam_finds_what_trying_all_texts_finds():
    steps, prompt = cached(fastest_steps(random_model(), 1)), PROMPTS[0]
    wide = DecodingConfig(beam=1000, num_return_sequences=6, max_new_tokens=3)
    every = DecodingConfig(exhaustive=True, num_return_sequences=6, max_new_tokens=3)

    found = beam_search(steps, prompt, wide, RULES)[:6]
    expected = exhaustive_search(steps, prompt, every, RULES)

    assert [text.tokens for text in found] == [text.tokens for text in expected]
    for text in found:
        read_on = read(random_model(), CACHE, [*prompt, *text.tokens])
        tokens = [*text.tokens, STOP] if text.end == "<stop>" else text.tokens
        own = sum(
            read_on[len(prompt) - 1 + place, token].item() for place, token in enumerate(tokens)
        )
        assert text.log_prob == pytest.approx(own, rel=1e-4)
