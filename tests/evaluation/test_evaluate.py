"""Evaluation is exact: the sums over a text are those of a loop over single tokens."""

import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.cells import CELLS
from charlm.data import TextCounts
from charlm.errors import TextError
from charlm.evaluation import NetworkPredictor, TokenScores, evaluate, read_text
from charlm.text.chars import CharTokenizer

TOKENIZER = CharTokenizer.build(["abcdefghijklmnopqrstuvwx"])  # 24 symbols, 27 with the marks
START, STOP, OTHER = TOKENIZER.start_id, TOKENIZER.stop_id, TOKENIZER.other_id
COUNTS = TextCounts(num_words=40, num_chars=200, num_bytes=210)
CONTEXTS = ["stream", "frame"]


@pytest.fixture(scope="module")
def measure(reading):
    """A function: the evaluation of a network on a text."""

    def measure(model, tokens, context):
        scores = read_text(NetworkPredictor(model), tokens, reading(context))
        return evaluate(scores, COUNTS, TOKENIZER)

    return measure


def close(evaluation, rel=1e-5):
    return pytest.approx(evaluation.to_dict(), rel=rel)


@pytest.mark.parametrize("window", [1, 3, 7, 64, 512])
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_an_evaluation_equals_a_loop_over_single_tokens(
    cell, context, window, small_model, random_text, looped, predicted, measure, monkeypatch
):
    monkeypatch.setattr("charlm.evaluation.reading.WINDOW", window)
    model, tokens = small_model(cell), random_text()

    found = measure(model, tokens, context)

    targets, nats = predicted(looped(model, tokens, context)[1], tokens)
    assert found.num_tokens == len(targets) == int((tokens != START).sum())
    assert found.num_other == int((targets == OTHER).sum()) > 0
    assert found.num_stop == int((targets == STOP).sum()) == 8
    assert found.total_nats == pytest.approx(nats.sum(), rel=1e-4)
    assert found.total_nats_other == pytest.approx(nats[targets == OTHER].sum(), rel=1e-4)
    assert found.sum_squared_nats == pytest.approx((nats**2).sum(), rel=1e-4)
    assert found.perplexity == pytest.approx(math.exp(nats.mean()), rel=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_frames_and_the_stream_differ_by_the_context_they_give(
    cell, small_model, random_text, measure
):
    model, tokens = small_model(cell), random_text()

    stream, frames = (measure(model, tokens, context) for context in CONTEXTS)

    assert stream.num_tokens == frames.num_tokens
    assert stream.total_nats != pytest.approx(frames.total_nats, rel=1e-4)


def test_independent_frames_give_the_same_sums_in_any_order(small_model, random_text, measure):
    model, tokens = small_model(), random_text()
    frames = np.split(tokens, np.flatnonzero(tokens == START)[1:])

    turned = measure(model, np.concatenate(frames[::-1]), "frame")

    assert turned.to_dict() == close(measure(model, tokens, "frame"))


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_uniform_model_over_27_symbols_has_perplexity_27(
    context, small_model, random_text, measure
):
    model = small_model(tie_embeddings=False)
    for parameter in model.head.parameters():
        parameter.data.zero_()

    found = measure(model, random_text(), context)

    assert found.perplexity == pytest.approx(27, rel=1e-6)
    assert found.perplexity_excluding_other == pytest.approx(27, rel=1e-6)
    assert found.bits_per_token == pytest.approx(math.log2(27), rel=1e-6)
    assert found.bits_per_char == pytest.approx(found.num_tokens * math.log2(27) / 200, rel=1e-6)
    assert found.standard_error == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_a_model_is_measured_without_dropout_and_left_as_it_was(
    training, small_model, random_text, measure
):
    model, tokens = small_model(), random_text()
    expected = measure(model, tokens, "stream")

    model.train(training)
    found = measure(model, tokens, "stream")

    assert found == expected
    assert all(module.training is training for module in model.modules())


def test_sums_are_those_of_the_tokens_and_of_what_they_are():
    targets = np.array([0, OTHER, 5, STOP, OTHER])
    nats = np.array([1.0, 2.0, 4.0, 8.0, 16.0])

    found = evaluate([TokenScores(targets=targets, nats=nats)], COUNTS, TOKENIZER)

    assert {f.name: getattr(found, f.name) for f in fields(found)} == {
        "total_nats": 31.0,
        "total_nats_other": 18.0,
        "sum_squared_nats": 341.0,
        "num_tokens": 5,
        "num_other": 2,
        "num_stop": 1,
        "num_words": 40,
        "num_chars": 200,
        "num_bytes": 210,
    }


@given(seed=st.integers(0, 99), cuts=st.lists(st.integers(0, 30), max_size=5))
@settings(max_examples=30)
def test_it_makes_no_difference_in_how_many_parts_scores_come(seed, cuts):
    rng = np.random.default_rng(seed)
    targets, nats = rng.integers(27, size=30), rng.exponential(3, 30)
    cuts = sorted(cuts)
    parts = [
        TokenScores(targets=t, nats=n)
        for t, n in zip(np.split(targets, cuts), np.split(nats, cuts), strict=True)
    ]

    whole = evaluate([TokenScores(targets=targets, nats=nats)], COUNTS, TOKENIZER)

    assert evaluate(iter(parts), COUNTS, TOKENIZER).to_dict() == close(whole, rel=1e-12)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("tokens", [[], [START], [START, START]])
def test_a_text_without_a_token_to_predict_is_an_error(tokens, context, small_model, measure):
    with pytest.raises(TextError, match="no token to predict"):
        measure(small_model(), np.array(tokens, dtype=np.uint8), context)


@pytest.mark.parametrize("context", CONTEXTS)
def test_an_empty_frame_has_one_token_to_predict(context, small_model, measure):
    found = measure(small_model(), np.array([START, STOP], dtype=np.uint8), context)

    assert (found.num_tokens, found.num_stop) == (1, 1)
