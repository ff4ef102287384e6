"""A model in back-off form: laws that hold whatever its numbers are."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.ngram import NgramModel, build_kneser_ney
from charlm.ngram.model import NgramTable

START, STOP, VOCAB_SIZE = 3, 4, 6
tokens = st.lists(st.sampled_from([0, 0, 1, 2, START, STOP, 5]), max_size=20)


@pytest.fixture(scope="module", params=[1, 2, 4])
def model(request, long_text):
    return build_kneser_ney(long_text, order=request.param, vocab_size=VOCAB_SIZE, start_id=START)


@given(text=tokens)
@settings(max_examples=60)
def test_log_probs_are_those_of_the_distributions_before(model, text):
    log_probs = model.log_probs(text, [1, START])

    distributions = model.distributions([START, *text[:-1]], [1])
    predicted = np.array(text, np.int64) != START
    expected = distributions[np.arange(len(text)), text] if text else np.zeros(0)
    assert np.allclose(log_probs[predicted], expected[predicted], rtol=1e-13)
    assert (log_probs[~predicted] == 0).all()


@given(text=tokens, cuts=st.lists(st.integers(0, 20), max_size=4))
@settings(max_examples=60)
def test_windows_do_not_matter(model, text, cuts):
    bounds = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    windows = [slice(*pair) for pair in pairwise(bounds)]

    in_windows = [model.log_probs(text[w], text[: w.start]) for w in windows]
    rows = [model.distributions(text[w], text[: w.start]) for w in windows]

    assert np.concatenate(in_windows).tolist() == model.log_probs(text).tolist()
    assert np.concatenate(rows).tolist() == model.distributions(text).tolist()


@given(text=tokens, other=tokens)
@settings(max_examples=40)
def test_what_comes_after_changes_nothing(model, text, other):
    assert model.log_probs(text + other)[: len(text)].tolist() == model.log_probs(text).tolist()


@given(history=tokens, text=tokens)
@settings(max_examples=40)
def test_of_the_history_only_order_minus_one_tokens_matter(model, history, text):
    near = history[max(0, len(history) - model.order + 1) :]

    assert model.log_probs(text, history).tolist() == model.log_probs(text, near).tolist()


@given(history=tokens, text=tokens)
@settings(max_examples=40)
def test_no_context_reaches_over_start(model, history, text):
    alone = model.log_probs([START, *text]).tolist()

    assert model.log_probs([START, *text], history).tolist() == alone


def test_the_context_matters_as_far_as_the_order_and_no_farther(long_text):
    model = build_kneser_ney(long_text, order=3, vocab_size=VOCAB_SIZE, start_id=START)

    after = {history: model.log_probs([0], history).item() for history in [(0, 0), (1, 0), (0, 1)]}
    longer = {h: model.log_probs([0], (2, *h)).item() for h in after}

    assert len(set(after.values())) == 3
    assert longer == after


@pytest.fixture
def small_model():
    """1-grams 0, 1, <start>; 2-grams 0 1, <start> 0; of weights -1, -2 and -4."""
    unigrams = NgramTable(
        np.arange(3), np.array([-0.5, -0.7, -np.inf]), np.array([-1.0, -2.0, -4.0])
    )
    bigrams = NgramTable(np.array([1, 6]), np.array([-0.1, -0.2]), np.array([-0.25, -8.0]))
    trigrams = NgramTable(np.array([4]), np.array([-0.3]), np.zeros(1))  # <start> 0 1
    return NgramModel((unigrams, bigrams, trigrams), 2)


def test_known_numbers_of_a_small_model(small_model):
    found = small_model.log_probs([2, 0, 1, 1, 0, 0])

    # `<start> 0`; `<start> 0 1`; weights of 0 1 and 1; of 1; of 0
    expected = [0, -0.2, -0.3, -0.25 - 2.0 - 0.7, -2.0 - 0.5, -1.0 - 0.5]
    assert found == pytest.approx(expected)
    assert (small_model.order, small_model.vocab_size) == (3, 3)


def test_known_distributions_of_a_small_model(small_model):
    found = small_model.distributions([2, 0, 0])

    after_start = [-0.2, -4.0 - 0.7, -np.inf]
    after_start_0 = [-8.0 - 1.0 - 0.5, -0.3, -np.inf]
    after_0 = [-1.0 - 0.5, -0.1, -np.inf]
    assert found == pytest.approx(np.array([after_start, after_start_0, after_0]))


def test_no_tokens_have_no_log_probs(model):
    assert model.log_probs([]).shape == (0,)
    assert model.distributions([]).shape == (0, VOCAB_SIZE)
    assert model.distributions([], [0, 1]).shape == (0, VOCAB_SIZE)


@pytest.mark.parametrize("dtype", ["uint8", "uint64", "int32"])
def test_the_type_of_the_ids_does_not_matter(dtype, model, long_text):
    found = model.log_probs(long_text.astype(dtype), long_text[:3].astype(dtype))

    assert found.tolist() == model.log_probs(long_text, long_text[:3]).tolist()


@pytest.mark.parametrize("token", [-1, VOCAB_SIZE])
def test_an_id_outside_the_vocabulary_is_a_mistake(token, model):
    with pytest.raises(AssertionError):
        model.log_probs([0, token])
