"""What every predictor promises: it never peeks, and how a text is cut and batched is nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.data import NOT_PREDICTED
from charlm.evaluation import (
    CacheConfig,
    CachedPredictor,
    DynamicConfig,
    DynamicNetwork,
    Mixture,
    NetworkPredictor,
    NgramPredictor,
    Predictions,
)
from charlm.ngram import build_kneser_ney

START = 24
STRIDES = {"dynamic": 4, "dynamic cached": 4, "mixed with dynamic": 12}
NAMES = ["network", "cached", "n-grams", "mixed", *STRIDES]


@pytest.fixture(scope="module")
def predictors(small_model, random_text):
    model = small_model(num_layers=1)
    sizes = {name: parameter.detach().abs() for name, parameter in model.named_parameters()}

    def dynamic(bptt=4):
        return DynamicNetwork(model, sizes, DynamicConfig(learning_rate=0.03, bptt=bptt))

    network = NetworkPredictor(model)
    cached = CachedPredictor(network, CacheConfig(size=9, flatness=1.0, weight=0.4))
    learnt = random_text(1, (40, 40, 0, 9))
    ngrams = NgramPredictor(build_kneser_ney(learnt, order=3, vocab_size=27, start_id=START))
    return {
        "network": network,
        "cached": cached,
        "n-grams": ngrams,
        "mixed": Mixture([network, ngrams, cached], [0.5, 0.2, 0.3]),
        "dynamic": dynamic(),
        "dynamic cached": CachedPredictor(dynamic(), CacheConfig(size=9, weight=0.4)),
        "mixed with dynamic": Mixture([dynamic(), ngrams, dynamic(6)], [0.5, 0.2, 0.3]),
    }


@pytest.fixture(scope="module")
def text(random_text):
    return random_text(2, (9, 0, 1, 17, 6)).astype(int)


def changes_what_was_said(said, predictor, text, place, cuts):
    """Whether another text after a place changes what was said up to it; rounding aside."""
    generator = np.random.default_rng(place)
    log_probs, distributions = said(predictor, text[None], cuts)
    shuffled, shortened, other = text.copy(), text[: place + 2].copy(), text.copy()
    shuffled[place + 1 :] = generator.permutation(text[place + 1 :])
    other[place + 1 :] = generator.integers(START, size=len(text) - place - 1)
    shortened[-1] = (text[place + 1] + 1) % START
    for changed in (shuffled, other, shortened):
        near = [cut for cut in cuts if cut < len(changed) - 1]
        found_log_probs, found = said(predictor, changed[None], near)
        known = text[1 : place + 1] != START
        if not (
            np.allclose(found[:, : place + 1], distributions[:, : place + 1], atol=1e-6)
            and np.allclose(found_log_probs[0, :place][known], log_probs[0, :place][known])
        ):
            return True
    return False


@pytest.mark.parametrize("place", [0, 11, 12, 22])  # within and at the end of segments and windows
@pytest.mark.parametrize("name", NAMES)
def test_what_comes_later_never_matters(name, place, predictors, text, said):
    assert not changes_what_was_said(said, predictors[name], text, place, cuts=(12, 24))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_shapes_give_the_same_bits_whatever_comes_later(name, predictors, text, said):
    place = len(text) // 2
    changed = np.concatenate([text[: place + 1], text[place + 1 :][::-1]])

    distributions = [
        said(predictors[name], each[None])[1][:, : place + 1] for each in (text, changed)
    ]

    assert np.array_equal(*distributions)


class Peeker:
    """Gives its network's predictions, and something of what it should not know yet."""

    stride, max_rows = 1, None

    def __init__(self, network, peek):
        self.network, self.peek = network, peek
        self.initial_state = network.initial_state

    def predict(self, inputs, targets, state):
        predictions, state = self.network.predict(inputs, targets, state)
        logits = predictions.distribution() + self.peek(inputs, targets)
        own = logits.log_softmax(-1)
        picked = own.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)
        return Predictions(log_probs=picked, distribution=lambda: own), state


def peek_at_target(inputs, targets):
    return 1e-3 * torch.nn.functional.one_hot(targets.clamp(min=0), 27)


def peek_at_window(inputs, targets):
    mean = torch.nn.functional.one_hot(inputs, 27).float().mean(1, keepdim=True)
    return 1e-2 * mean


def peek_at_the_token_after_next(inputs, targets):
    return 1e-3 * torch.nn.functional.one_hot(targets.clamp(min=0).roll(-1, 1), 27)


@pytest.mark.parametrize("peek", [peek_at_target, peek_at_window, peek_at_the_token_after_next])
def test_a_predictor_that_peeks_is_caught(peek, predictors, text, said):
    peeker = Peeker(predictors["network"], peek)

    assert changes_what_was_said(said, peeker, text, 12, ())


@pytest.mark.parametrize("name", NAMES)
def test_all_that_might_follow_has_a_sum_of_1_and_holds_what_follows(name, predictors, text, said):
    log_probs, distributions = said(predictors[name], text[None], cuts=(12,))

    known = text[1:] != START
    own = distributions[0, np.arange(len(text) - 1), text[1:]]
    np.testing.assert_allclose(np.exp(distributions).sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(log_probs[0, known], own[known], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@given(places=st.sets(st.integers(1, 40)))
@settings(max_examples=4)
def test_where_windows_are_cut_makes_no_difference(name, predictors, text, said, places):
    stride = STRIDES.get(name, 1)
    assert predictors[name].stride == stride
    cuts = sorted(place * stride for place in places if place * stride < len(text) - 1)

    found = said(predictors[name], text[None], cuts)

    for values, expected in zip(found, said(predictors[name], text[None]), strict=True):
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["network", "cached", "n-grams", "mixed"])
@given(lengths=st.lists(st.integers(1, 14), min_size=1, max_size=4), window=st.integers(1, 15))
@settings(max_examples=8)
def test_rows_do_not_know_of_each_other(name, predictors, random_text, said, lengths, window):
    lengths = sorted(lengths, reverse=True)
    predictor = predictors[name]
    assert predictor.max_rows != 1
    frames = [random_text(n, (length,)).astype(int) for n, length in enumerate(lengths)]
    inputs = torch.zeros(len(frames), len(frames[0]) - 1, dtype=torch.long)
    targets = torch.full_like(inputs, NOT_PREDICTED)
    for row, frame in enumerate(frames):
        inputs[row, : len(frame) - 1] = torch.as_tensor(frame[:-1])
        targets[row, : len(frame) - 1] = torch.as_tensor(frame[1:])

    state, found = predictor.initial_state(len(frames)), [[] for _ in frames]
    for begin in range(0, inputs.shape[1], window):
        rows = sum(len(frame) - 1 > begin for frame in frames)  # those that have not ended
        state = predictor.select_rows(state, np.arange(rows))
        part = (slice(rows), slice(begin, begin + window))
        predictions, state = predictor.predict(inputs[part], targets[part], state)
        for row in range(rows):
            values = (predictions.log_probs[row], predictions.distribution()[row])
            found[row].append([value.double().numpy() for value in values])

    for row, frame in enumerate(frames):
        alone = said(predictor, frame[None])
        for parts, expected in zip(zip(*found[row], strict=True), alone, strict=True):
            own = np.concatenate(parts)[: len(frame) - 1]
            np.testing.assert_allclose(own, expected[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["network", "cached", "n-grams", "mixed"])
@pytest.mark.parametrize("begun", [1, 5])
@pytest.mark.parametrize("chosen", [[0], [2], [1, 0], [2, 0, 0, 1, 2]])
def test_rows_may_go_on_in_any_order_and_in_several_ways(
    name, begun, chosen, predictors, random_text, said
):
    predictor = predictors[name]
    beginnings = np.stack([random_text(seed, (20,))[:begun] for seed in range(3)]).astype(int)
    endings = np.stack([random_text(9 + seed, (6,))[1:] for seed in range(len(chosen))]).astype(int)
    wholes = np.concatenate([beginnings[chosen], endings], axis=1)
    read = torch.as_tensor(beginnings)
    rest = torch.as_tensor(wholes[:, begun - 1 :])

    state = predictor.initial_state(3)
    if begun > 1:
        _, state = predictor.predict(read[:, :-1], read[:, 1:], state)
    state = predictor.select_rows(state, np.array(chosen))
    predictions, _ = predictor.predict(rest[:, :-1], rest[:, 1:], state)

    for row, whole in enumerate(wholes):
        _, expected = said(predictor, whole[None])
        found = predictions.distribution()[row].double().numpy()
        np.testing.assert_allclose(found, expected[0, begun - 1 :], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", STRIDES)
def test_what_learns_from_a_text_reads_one_row_at_a_time(name, predictors):
    assert predictors[name].max_rows == 1
