"""Evaluation is exact: what a loop over single tokens gives."""

import math
from importlib import import_module
from itertools import pairwise

import numpy as np
import pytest
import torch

from charlm.cells import CELLS
from charlm.data import TokenFile, make_windows
from charlm.data.token_file import TextCounts
from charlm.errors import TextError
from charlm.evaluation import estimate_nats, evaluate, window_nats
from charlm.model import LanguageModel, ModelConfig
from charlm.text.chars import CharTokenizer

TOKENIZER = CharTokenizer.build(["abcdefghijklmnopqrstuvwx"])  # 24 symbols, 27 with the marks
START, STOP, OTHER = TOKENIZER.start_id, TOKENIZER.stop_id, TOKENIZER.other_id
COUNTS = TextCounts(num_words=40, num_chars=200, num_bytes=210)


def small_model(cell="lstm", **settings):
    torch.manual_seed(0)
    sizes = {"vocab_size": 27, "embedding_size": 8, "hidden_size": 8, "num_layers": 2} | settings
    model = LanguageModel(ModelConfig(cell=cell, dropout=0.5, **sizes))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)  # far from uniform, so that context matters
    return model


def random_text(seed=0, num_frames=12):
    """Frames of 0 to 30 tokens, some of them <other>; no frame of <other> alone."""
    rng = np.random.default_rng(seed)
    symbols = [*range(24), OTHER, OTHER, OTHER]
    frames = [rng.choice(symbols, size=rng.integers(31)) for _ in range(num_frames)]
    tokens = np.concatenate([[START, *frame, STOP] for frame in frames])
    return TokenFile(tokens.astype(np.uint8), COUNTS)


def loop(model, tokens, independent_frames):
    """(target, nats) of every token but <start>, from one step a token."""
    found = []
    state = model.initial_state(1)
    for token, target in pairwise(tokens.tolist()):
        if independent_frames and token == START:
            state = model.initial_state(1)
        with torch.no_grad():
            logits, state = model.step(torch.tensor([token]), state)
        if target != START:
            found.append((target, -logits.double().log_softmax(-1)[0, target].item()))
    return np.array([t for t, _ in found]), np.array([nats for _, nats in found])


@pytest.fixture(params=[1, 3, 7, 64, 512])
def window(request, monkeypatch):
    monkeypatch.setattr(import_module("charlm.evaluation.evaluate"), "WINDOW", request.param)


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("independent_frames", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_an_evaluation_equals_a_loop_over_single_tokens(cell, independent_frames):
    model, text = small_model(cell).eval(), random_text()

    found = evaluate(model, text, TOKENIZER, independent_frames=independent_frames)

    targets, nats = loop(model, text.tokens, independent_frames)
    assert found.num_tokens == len(targets) == int((text.tokens != START).sum())
    assert found.num_other == int((targets == OTHER).sum()) > 0
    assert found.num_stop == int((targets == STOP).sum()) == 12
    assert found.total_nats == pytest.approx(nats.sum(), rel=1e-4)
    assert found.total_nats_other == pytest.approx(nats[targets == OTHER].sum(), rel=1e-4)
    assert found.sum_squared_nats == pytest.approx((nats**2).sum(), rel=1e-4)
    assert found.perplexity == pytest.approx(math.exp(nats.mean()), rel=1e-4)


@pytest.mark.parametrize("cell", CELLS)
def test_independent_frames_and_the_stream_differ_by_the_context_they_give(cell):
    model, text = small_model(cell).eval(), random_text()

    stream = evaluate(model, text, TOKENIZER, independent_frames=False)
    frames = evaluate(model, text, TOKENIZER, independent_frames=True)

    assert stream.num_tokens == frames.num_tokens
    assert stream.total_nats != pytest.approx(frames.total_nats, rel=1e-4)


def test_independent_frames_give_the_same_sums_in_any_order():
    model, text = small_model(), random_text()
    starts = np.flatnonzero(text.tokens == START)
    frames = np.split(text.tokens, starts[1:])
    turned = TokenFile(np.concatenate(frames[::-1]), COUNTS)

    found = evaluate(model, text, TOKENIZER, independent_frames=True)
    found_turned = evaluate(model, turned, TOKENIZER, independent_frames=True)

    assert found.to_dict() == pytest.approx(found_turned.to_dict(), rel=1e-5)


def test_a_uniform_model_over_27_symbols_has_perplexity_27():
    model = small_model(tie_embeddings=False)
    for parameter in model.head.parameters():
        torch.nn.init.zeros_(parameter)

    found = evaluate(model, random_text(), TOKENIZER, independent_frames=False)

    assert found.perplexity == pytest.approx(27, rel=1e-6)
    assert found.perplexity_excluding_other == pytest.approx(27, rel=1e-6)
    assert found.bits_per_token == pytest.approx(math.log2(27), rel=1e-6)
    assert found.bits_per_char == pytest.approx(found.num_tokens * math.log2(27) / 200, rel=1e-6)
    assert found.standard_error == pytest.approx(0, abs=1e-6)


def test_the_counts_of_the_text_are_passed_on():
    found = evaluate(small_model(), random_text(), TOKENIZER, independent_frames=False)

    assert (found.num_words, found.num_chars, found.num_bytes) == (40, 200, 210)


@pytest.mark.parametrize("independent_frames", [False, True])
@pytest.mark.parametrize("tokens", [[], [START], [START, START]])
def test_a_text_without_a_token_to_predict_is_an_error(tokens, independent_frames):
    text = TokenFile(np.array(tokens, dtype=np.uint8), COUNTS)

    with pytest.raises(TextError, match="no token to predict"):
        evaluate(small_model(), text, TOKENIZER, independent_frames=independent_frames)


@pytest.mark.parametrize("independent_frames", [False, True])
def test_an_empty_frame_has_one_token_to_predict(independent_frames):
    text = TokenFile(np.array([START, STOP], dtype=np.uint8), COUNTS)

    found = evaluate(small_model(), text, TOKENIZER, independent_frames=independent_frames)

    assert (found.num_tokens, found.num_stop) == (1, 1)


@pytest.mark.parametrize("training", [True, False])
def test_a_model_is_measured_without_dropout_and_left_as_it_was(training):
    model, text = small_model(), random_text()
    windows = make_windows(
        text.tokens, batch_size=2, bptt=5, start_id=START, independent_frames=False
    )

    model.train(training)
    first = evaluate(model, text, TOKENIZER, independent_frames=False)
    estimates = {estimate_nats(model, windows, "float32") for _ in range(2)}

    assert all(module.training is training for module in model.modules())
    assert first == evaluate(model.eval(), text, TOKENIZER, independent_frames=False)
    assert len(estimates) == 1


def test_a_model_is_left_as_it_was_where_measuring_breaks_off():
    model = small_model().train()
    tokens = random_text().tokens
    windows = make_windows(tokens, batch_size=2, bptt=5, start_id=START, independent_frames=False)
    unknown = make_windows(
        np.array([START, 99, 99]), batch_size=1, bptt=5, start_id=START, independent_frames=False
    )

    measured = window_nats(model, windows, "float32")
    next(measured)
    measured.close()
    assert model.training
    with pytest.raises(IndexError):
        estimate_nats(model, unknown, "float32")
    assert model.training


@pytest.mark.parametrize("independent_frames", [False, True])
def test_an_estimate_over_one_stream_is_exact(independent_frames):
    model, text = small_model(), random_text()
    windows = make_windows(
        text.tokens, batch_size=1, bptt=9, start_id=START, independent_frames=independent_frames
    )

    nats = estimate_nats(model, windows, "float32")

    exact = evaluate(model, text, TOKENIZER, independent_frames=independent_frames)
    assert nats == pytest.approx(exact.nats_per_token, rel=1e-5)


def test_an_estimate_is_the_mean_over_parallel_streams():
    model, text = small_model().eval(), random_text()
    length = (len(text.tokens) - 1) // 3
    windows = make_windows(
        text.tokens, batch_size=3, bptt=4, start_id=START, independent_frames=False
    )

    nats = estimate_nats(model, windows, "float32")

    streams = [text.tokens[b * length : (b + 1) * length + 1] for b in range(3)]
    singly = np.concatenate([loop(model, stream, False)[1] for stream in streams])
    assert nats == pytest.approx(singly.mean(), rel=1e-4)


def test_an_estimate_over_frames_in_parallel_counts_every_token_once():
    model, text = small_model().eval(), random_text()
    windows = make_windows(
        text.tokens, batch_size=3, bptt=4, start_id=START, independent_frames=True
    )

    nats = estimate_nats(model, windows, "float32")

    assert nats == pytest.approx(loop(model, text.tokens, True)[1].mean(), rel=1e-4)


def test_an_estimate_in_bfloat16_is_near_the_one_in_float32():
    model, text = small_model("gru", num_layers=1), random_text()
    windows = make_windows(
        text.tokens, batch_size=2, bptt=16, start_id=START, independent_frames=False
    )

    rough, fine = (estimate_nats(model, windows, p) for p in ("bfloat16", "float32"))

    assert rough != fine
    assert rough == pytest.approx(fine, rel=0.02)


def test_an_estimate_of_nothing_is_not_a_number():
    windows = make_windows(
        np.array([START], dtype=np.uint8),
        batch_size=2,
        bptt=5,
        start_id=START,
        independent_frames=False,
    )

    assert math.isnan(estimate_nats(small_model(), windows, "float32"))


def test_window_nats_come_with_their_windows_in_order():
    model, text = small_model().eval(), random_text()
    windows = make_windows(
        text.tokens, batch_size=1, bptt=7, start_id=START, independent_frames=False
    )

    found = list(window_nats(model, windows, "float32"))

    targets = np.concatenate([window.targets[0] for window, _ in found])
    nats = np.concatenate([nats[0] for _, nats in found])
    expected = np.zeros(len(targets))
    expected[text.tokens[1:] != START] = loop(model, text.tokens, False)[1]
    assert all(nats.shape == window.targets.shape for window, nats in found)
    assert nats.dtype == np.float64
    np.testing.assert_allclose(nats, expected, rtol=1e-4, atol=1e-6)
