"""Dynamic evaluation is what plain autograd and a loop over the weights give."""

import copy
import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from charlm.cells import CELLS
from charlm.data import make_windows
from charlm.errors import ConfigError
from charlm.evaluation import DynamicConfig, DynamicNetwork, NetworkPredictor, measure_gradients

START = 24


@pytest.fixture(scope="module")
def sizes_of():
    """A function: positive sizes for all weights of a model, at random."""

    def sizes_of(model):
        generator = torch.Generator().manual_seed(1)
        return {
            name: torch.rand(parameter.shape, generator=generator) ** 2
            for name, parameter in model.named_parameters()
        }

    return sizes_of


def dynamic_by_hand(model, tokens, sizes, config):
    """log P of what follows each token; the weights learn one segment after the other."""
    follower = copy.deepcopy(model).eval()
    trained = {name: p.detach().clone() for name, p in follower.named_parameters()}
    mean_size = torch.cat([sizes[name].flatten() for name in trained]).mean()
    state, found = follower.initial_state(1), []
    for begin in range(0, len(tokens) - 1, config.bptt):
        segment = tokens[begin : begin + config.bptt + 1].tolist()
        state = tuple(tuple(part.detach() for part in layer) for layer in state)
        losses = []
        for token, target in pairwise(segment):
            logits, state = follower.step(torch.tensor([token]), state)
            log_probs = logits.log_softmax(-1)[0]
            found.append(log_probs.detach().double().numpy())
            if target != START:
                losses.append(-log_probs[target])
        if not losses:
            continue
        follower.zero_grad()
        torch.stack(losses).mean().backward()
        for name, weight in follower.named_parameters():
            most = 1 / config.decay if config.decay else math.inf
            pull = config.decay * torch.clamp(sizes[name] / mean_size, max=most)
            step = config.learning_rate * weight.grad / (sizes[name] + mean_size)
            weight.data = weight.data - step + pull * (trained[name] - weight.data)
    return np.array(found)


def close(found, expected, rel=2e-4):
    np.testing.assert_allclose(found, expected, rtol=rel, atol=rel / 10)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "config",
    [
        DynamicConfig(learning_rate=0.05, decay=0.0, bptt=5),
        DynamicConfig(learning_rate=0.05, decay=0.1, bptt=20),
        DynamicConfig(learning_rate=0.02, decay=0.8, bptt=1),  # some weights are drawn back wholly
        DynamicConfig(learning_rate=0.02, decay=1.0, bptt=7),
    ],
)
def test_dynamic_evaluation_is_what_plain_autograd_gives(
    config, cell, small_model, random_text, sizes_of, said
):
    model, tokens = small_model(cell), random_text(0, (7, 0, 19)).astype(int)

    _, found = said(DynamicNetwork(model, sizes_of(model), config), tokens[None])

    close(found[0], dynamic_by_hand(model, tokens, sizes_of(model), config))
    _, plain = said(NetworkPredictor(model), tokens[None])
    close(found[0, : config.bptt], plain[0, : config.bptt], rel=1e-5)  # nothing is learnt yet
    assert not np.allclose(found[0, config.bptt :], plain[0, config.bptt :], rtol=1e-2)


@pytest.mark.parametrize("window", [1, 3, 8, 512])
@pytest.mark.parametrize("context", ["stream", "frame"])
def test_segments_do_not_depend_on_the_window_and_frames_begin_anew(
    context, window, small_model, random_text, sizes_of, read, predicted, monkeypatch
):
    monkeypatch.setattr("charlm.evaluation.reading.WINDOW", window)
    model, tokens = small_model(), random_text(0, (3, 0, 17, 1, 9))
    config = DynamicConfig(learning_rate=0.05, bptt=4)
    texts = [tokens]
    if context == "frame":
        texts = np.split(tokens, np.flatnonzero(tokens == START)[1:])

    found = read(DynamicNetwork(model, sizes_of(model), config), tokens, context)

    nats = [predicted(dynamic_by_hand(model, t, sizes_of(model), config), t)[1] for t in texts]
    close(found.nats, np.concatenate(nats))


def test_the_trained_weights_are_left_as_they_were(small_model, random_text, sizes_of, read):
    model, tokens = small_model().train(), random_text()
    weights = [parameter.clone() for parameter in model.parameters()]
    network = DynamicNetwork(model, sizes_of(model), DynamicConfig(learning_rate=0.1))

    first, again = read(network, tokens), read(network, tokens)

    assert all(map(torch.equal, model.parameters(), weights))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training
    assert first.nats.tolist() == again.nats.tolist()  # each reading begins anew, without dropout


def test_a_tiny_learning_rate_gives_the_plain_network(small_model, random_text, sizes_of, said):
    model, tokens = small_model(), random_text().astype(int)[None]
    network = DynamicNetwork(model, sizes_of(model), DynamicConfig(learning_rate=1e-12))

    close(said(network, tokens)[1], said(NetworkPredictor(model), tokens)[1], rel=1e-5)


def test_the_learning_rate_is_measured_by_the_size_of_the_gradients(
    small_model, random_text, sizes_of, said
):
    model, tokens = small_model(), random_text().astype(int)[None]
    sizes = sizes_of(model)
    tenfold = {name: 10 * size for name, size in sizes.items()}

    found = said(DynamicNetwork(model, sizes, DynamicConfig(learning_rate=0.03)), tokens)
    same = said(DynamicNetwork(model, tenfold, DynamicConfig(learning_rate=0.3)), tokens)

    close(found[1], same[1])


def test_it_helps_on_a_text_that_repeats_itself(small_model, random_text, read):
    model = small_model()
    sizes = {name: torch.ones_like(parameter) for name, parameter in model.named_parameters()}
    phrase = random_text(3, (30,))[1:-1]
    tokens = np.concatenate([[START], *[phrase] * 8])

    plain = read(NetworkPredictor(model), tokens).nats
    found = read(DynamicNetwork(model, sizes, DynamicConfig(learning_rate=0.3)), tokens).nats

    assert found[0] == pytest.approx(plain[0], rel=1e-6)
    assert found.sum() < 0.9 * plain.sum()


def test_a_learning_rate_that_runs_away_is_an_error(small_model, random_text, sizes_of, read):
    model = small_model("rnn-relu")
    network = DynamicNetwork(model, sizes_of(model), DynamicConfig(learning_rate=1e9, bptt=3))

    with pytest.raises(ConfigError, match=r"runs away.*--dynamic-learning-rate"):
        read(network, random_text())


@pytest.mark.parametrize("independent_frames", [False, True])
@pytest.mark.parametrize("most", [3, 100])
def test_gradients_are_measured_as_a_loop_over_windows_measures_them(
    most, independent_frames, small_model, random_text, monkeypatch
):
    monkeypatch.setattr("charlm.evaluation.dynamic.GRADIENT_WINDOWS", most)
    model = small_model().train()
    windows = make_windows(
        random_text(), batch_size=2, bptt=5, start_id=START, independent_frames=independent_frames
    )
    before = [parameter.clone() for parameter in model.parameters()]

    found = measure_gradients(model, windows)

    assert len(windows) > 5
    follower = copy.deepcopy(model).eval()
    squares = {name: [] for name, _ in follower.named_parameters()}
    state = None
    for index in range(min(len(windows), most)):
        window = windows[index]
        state = follower.carry_state(state, window.fresh)
        state = tuple(tuple(part.detach() for part in layer) for layer in state)
        nats, state = follower.nats(
            torch.as_tensor(window.inputs), torch.as_tensor(window.targets), state
        )
        follower.zero_grad()
        (nats.sum() / (window.targets >= 0).sum()).backward()
        for name, parameter in follower.named_parameters():
            squares[name].append(parameter.grad**2)
    assert found.keys() == squares.keys()
    for name, each in squares.items():
        torch.testing.assert_close(found[name], torch.stack(each).mean(0).sqrt())
    assert all(map(torch.equal, model.parameters(), before))
    assert model.training and all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("setting", "value", "name"),
    [
        ("learning_rate", 0.0, "learning rate"),
        ("learning_rate", -1.0, "learning rate"),
        ("learning_rate", math.inf, "learning rate"),
        ("learning_rate", math.nan, "learning rate"),
        ("decay", -0.1, "decay"),
        ("decay", 1.1, "decay"),
        ("decay", math.nan, "decay"),
        ("bptt", 0, "segments"),
        ("bptt", 100_001, "segments"),
    ],
)
def test_a_setting_out_of_range_is_an_error(setting, value, name):
    with pytest.raises(ConfigError, match=f"{name} of dynamic evaluation .*not {value}"):
        DynamicConfig(**{setting: value})
