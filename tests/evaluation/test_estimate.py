"""A quick estimate: exact over one stream, the mean over several."""

import math

import numpy as np
import pytest

from charlm.data import make_windows
from charlm.evaluation import NetworkPredictor, estimate_nats

START = 24


@pytest.fixture(scope="module")
def windows_of():
    def windows_of(tokens, batch_size, bptt, independent_frames=False):
        return make_windows(
            tokens,
            batch_size=batch_size,
            bptt=bptt,
            start_id=START,
            independent_frames=independent_frames,
        )

    return windows_of


@pytest.mark.parametrize("context", ["stream", "frame"])
def test_an_estimate_over_one_stream_is_exact(context, small_model, random_text, windows_of, read):
    model, tokens = small_model(), random_text()

    nats = estimate_nats(model, windows_of(tokens, 1, 9, context == "frame"), "float32")

    exact = read(NetworkPredictor(model), tokens, context).nats.mean()
    assert nats == pytest.approx(exact, rel=1e-5)


def test_an_estimate_is_the_mean_over_parallel_streams(
    small_model, random_text, windows_of, looped, predicted
):
    model, tokens = small_model(), random_text()
    length = (len(tokens) - 1) // 3

    nats = estimate_nats(model, windows_of(tokens, 3, 4), "float32")

    streams = [tokens[b * length : (b + 1) * length + 1] for b in range(3)]
    singly = [predicted(looped(model, stream)[1], stream)[1] for stream in streams]
    assert nats == pytest.approx(np.concatenate(singly).mean(), rel=1e-4)


def test_an_estimate_over_frames_in_parallel_counts_every_token_once(
    small_model, random_text, windows_of, looped, predicted
):
    model, tokens = small_model(), random_text()

    nats = estimate_nats(model, windows_of(tokens, 3, 4, independent_frames=True), "float32")

    singly = predicted(looped(model, tokens, "frame")[1], tokens)[1]
    assert nats == pytest.approx(singly.mean(), rel=1e-4)


def test_an_estimate_in_bfloat16_is_near_the_one_in_float32(small_model, random_text, windows_of):
    model, windows = small_model("gru", num_layers=1), windows_of(random_text(), 2, 16)

    rough, fine = (estimate_nats(model, windows, p) for p in ("bfloat16", "float32"))

    assert rough != fine
    assert rough == pytest.approx(fine, rel=0.02)


def test_an_estimate_of_nothing_is_not_a_number(small_model, windows_of):
    windows = windows_of(np.array([START], dtype=np.uint8), 2, 5)

    assert math.isnan(estimate_nats(small_model(), windows, "float32"))


@pytest.mark.parametrize("training", [True, False])
def test_a_model_is_estimated_without_dropout_and_left_as_it_was(
    training, small_model, random_text, windows_of
):
    model, windows = small_model(), windows_of(random_text(), 2, 5)
    expected = estimate_nats(model, windows, "float32")

    model.train(training)

    assert estimate_nats(model, windows, "float32") == expected
    assert all(module.training is training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_a_model_is_left_as_it_was_where_measuring_breaks_off(training, small_model, windows_of):
    model = small_model().train(training)
    unknown = windows_of(np.array([START, 99, 99]), 1, 5)

    with pytest.raises(IndexError):
        estimate_nats(model, unknown, "float32")

    assert model.training is training
