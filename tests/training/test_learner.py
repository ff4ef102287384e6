import math

import numpy as np
import pytest
import torch

from charlm.cells import trains_in_bfloat16
from charlm.checkpoint import model_weights
from charlm.data import make_epochs
from charlm.model import LanguageModel, ModelConfig
from charlm.training import Learner, TrainingConfig
from charlm.training.schedule import learning_rate

needs_bfloat16 = pytest.mark.skipif(
    not trains_in_bfloat16("lstm", torch.device("cpu")), reason="no bfloat16 on this processor"
)
WAYS = [
    {},
    pytest.param({"precision": "bfloat16"}, marks=needs_bfloat16),
    {"optimizer": "sgd", "weight_decay": 1e-3},
    {"optimizer": "muon"},
    {"schedule": "constant"},
    {"schedule": "plateau"},
    {"averaging": "ema", "average_decay": 0.9},
    {"averaging": "tail", "average_share": 0.8},
    {"averaging": "triggered", "trigger_interval": 2, "optimizer": "sgd"},
    {"accumulation_steps": 3},
    {"activation_penalty": 2.0, "temporal_activation_penalty": 1.0},
    {"variable_bptt": True},
    {"partial_shuffle": True},
    {"variable_bptt": True, "partial_shuffle": True, "accumulation_steps": 2},
]


def make_learner(independent_frames=False, dropout=0.4, tie_embeddings=True, tokens=None, **given):
    torch.manual_seed(0)
    if tokens is None:
        tokens = np.random.default_rng(0).integers(0, 9, 400, dtype=np.uint8)
    config = TrainingConfig(**{"steps": 40, "batch_size": 4, "bptt": 8, **given})
    windows = make_epochs(
        tokens,
        batch_size=config.batch_size,
        bptt=config.bptt,
        start_id=7,
        independent_frames=independent_frames,
        variable_bptt=config.variable_bptt,
        partial_shuffle=config.partial_shuffle,
        seed=config.seed,
    )
    shape = ModelConfig(
        vocab_size=9,
        hidden_size=12,
        embedding_size=12,
        num_layers=2,
        dropout=dropout,
        tie_embeddings=tie_embeddings,
    )
    return Learner(LanguageModel(shape), windows, config)


def weights(learner):
    return torch.cat([p.detach().flatten() for p in learner.model.parameters()])


def walk(learner, steps):
    """Steps, with a validation now and then that gets worse."""
    for _ in range(steps):
        step = learner.advance()
        if step.step % 2 == 0:
            learner.average.take_validation(learner.model, float(step.step))
    return step


def window_by_hand(model, window, state=None):
    """Total nats and number of predicted tokens of a window, and the state after it."""
    state = model.carry_state(state, window.fresh)
    logits, state = model(torch.from_numpy(window.inputs), state)
    targets = torch.from_numpy(window.targets)
    logits, targets = logits[targets >= 0], targets[targets >= 0]
    nats = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    return nats, len(targets), tuple(tuple(s.detach() for s in layer) for layer in state)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("independent_frames", [False, True])
def test_2n_steps_equal_n_resume_n_bit_for_bit(independent_frames, way):
    if independent_frames and {"variable_bptt", "partial_shuffle"} & set(way):
        pytest.skip("has no effect")
    few = np.random.default_rng(0).integers(0, 9, 150, dtype=np.uint8)  # five windows an epoch
    straight = make_learner(independent_frames, tokens=few, **way)
    walk(straight, 24)

    first = make_learner(independent_frames, tokens=few, **way)
    walk(first, 12)
    kept = first.tensors()
    torch.manual_seed(99)  # another process has other random numbers
    second = make_learner(independent_frames, tokens=few, **way)
    walk(second, 3)
    second.load_tensors(kept)
    second.step = first.step
    walk(second, 12)

    expected, found = straight.tensors(), second.tensors()
    assert expected.keys() == found.keys()
    assert any(name.startswith("average.") for name in expected) == ("averaging" in way)
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_one_can_go_back_more_than_once(way):
    learner = make_learner(**way)
    walk(learner, 7)
    kept = learner.tensors()
    before = {name: tensor.clone() for name, tensor in kept.items()}
    for _ in range(2):
        walk(learner, 3)
        learner.load_tensors(kept)
        learner.step = 7

        assert learner.tensors().keys() == before.keys()
        for name, tensor in learner.tensors().items():
            assert torch.equal(tensor, before[name]), name


def test_a_step_lowers_the_loss_of_its_window():
    learner = make_learner(warmup_steps=0, learning_rate=1e-2)
    first = learner.advance().loss
    for _ in range(39):
        last = learner.advance().loss

    assert last < first


def test_a_step_equals_one_written_by_hand():
    learner, by_hand = make_learner(warmup_steps=0), make_learner(warmup_steps=0)
    window = by_hand.windows.window(0)
    random = torch.get_rng_state()

    step = learner.advance()

    torch.set_rng_state(random)
    model = by_hand.model.train()
    nats, count, _ = window_by_hand(model, window)
    (nats / count).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    by_hand.optimizer.step(by_hand.config.learning_rate)
    assert step.loss == pytest.approx(nats.item() / count)
    torch.testing.assert_close(weights(learner), weights(by_hand))


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("independent_frames", [False, True])
def test_windows_add_up_to_the_gradient_of_the_mean_over_all_their_tokens(
    independent_frames, count
):
    learner = make_learner(
        independent_frames, dropout=0.0, accumulation_steps=count, clip_norm=None, warmup_steps=0
    )
    by_hand = make_learner(independent_frames, dropout=0.0).model.train()
    windows = [learner.windows.window(number) for number in range(2 * count)]

    state = None
    for begin in (0, count):
        by_hand.load_state_dict(learner.model.state_dict())
        by_hand.zero_grad()
        total, tokens = torch.zeros(()), 0
        for window in windows[begin : begin + count]:
            nats, n, state = window_by_hand(by_hand, window, state)
            total, tokens = total + nats, tokens + n
        (total / tokens).backward()

        step = learner.advance()

        assert (step.loss, step.num_tokens) == (pytest.approx(total.item() / tokens), tokens)
        expected = torch.cat([p.grad.flatten() for p in by_hand.parameters()])
        found = torch.cat([p.grad.flatten() for p in learner.model.parameters()])
        torch.testing.assert_close(found, expected)
        assert step.grad_norm == pytest.approx(expected.norm().item())
    assert learner.step == 2


def test_each_window_is_read_once(monkeypatch):
    learner = make_learner(accumulation_steps=2)
    read, window = [], learner.windows.window
    monkeypatch.setattr(learner.windows, "window", lambda n: read.append(n) or window(n))

    walk(learner, 5)

    assert read == list(range(12))  # two ahead, while the device is still at work


def test_an_epoch_has_fewer_steps_where_a_step_has_more_windows():
    assert make_learner().steps_per_epoch == 13
    assert make_learner(accumulation_steps=4).steps_per_epoch == 13 / 4


def test_penalties_are_in_the_gradient_and_not_in_the_loss():
    def gradients(**given):
        learner = make_learner(clip_norm=None, **given)
        loss = learner.advance().loss
        return loss, torch.cat([p.grad.flatten() for p in learner.model.parameters()])

    plain, none = gradients()
    found, both = gradients(activation_penalty=2.0, temporal_activation_penalty=3.0)

    by_hand = make_learner(activation_penalty=2.0, temporal_activation_penalty=3.0)
    model, window = by_hand.model.train(), by_hand.windows.window(0)
    raw, dropped, _ = model.body.activations(
        torch.from_numpy(window.inputs), model.initial_state(4)
    )
    penalty = 2 * dropped.square().mean() + 3 * (raw[:, 1:] - raw[:, :-1]).square().mean()
    added = torch.autograd.grad(penalty, list(model.parameters()), materialize_grads=True)
    assert found == pytest.approx(plain, rel=1e-6)
    torch.testing.assert_close(both - none, torch.cat([a.flatten() for a in added]))


def break_embedding(learner, token):
    with torch.no_grad():
        learner.model.body.embedding.weight[token] = float("nan")


@pytest.mark.parametrize("way", WAYS[:10], ids=str)
def test_after_a_step_that_is_not_finite_one_can_go_back(way):
    learner = make_learner(**way)
    walk(learner, 7)
    before = learner.tensors()
    with torch.no_grad():
        learner.model.head.projection.bias[0] = float("nan")

    assert not learner.advance().is_finite
    learner.load_tensors(before)
    learner.step = 7

    assert learner.advance().is_finite
    straight = make_learner(**way)
    walk(straight, 7)
    straight.advance()
    assert all(torch.equal(t, learner.tensors()[name]) for name, t in straight.tensors().items())


def test_one_window_that_is_not_finite_spoils_the_whole_step():
    tokens = np.random.default_rng(0).integers(0, 6, 400, dtype=np.uint8)
    tokens[99 + 8 * 5] = 8  # in the sixth window only
    learner = make_learner(tokens=tokens, tie_embeddings=False, accumulation_steps=3)
    break_embedding(learner, 8)

    assert [step.is_finite for step in learner.take_steps(2)] == [True, False]


def test_steps_taken_together_are_those_taken_one_by_one():
    together = make_learner().take_steps(5)

    learner = make_learner()
    assert together == [learner.advance() for _ in range(5)]


def test_the_rate_of_a_step_follows_the_length_of_its_windows():
    learner = make_learner(variable_bptt=True, accumulation_steps=2, bptt=20)
    lengths = [learner.windows.window(number).inputs.shape[1] for number in range(24)]

    rates = [learner.advance().learning_rate for _ in range(12)]

    for step, rate in enumerate(rates):
        mean = (lengths[2 * step] + lengths[2 * step + 1]) / 2
        assert rate == pytest.approx(learning_rate(learner.config, step) * mean / 20)
    assert len(set(lengths)) > 5


def test_the_rate_of_a_short_last_window_is_whole_where_lengths_are_fixed():
    learner = make_learner()

    rates = [learner.advance().learning_rate for _ in range(13)]

    assert learner.windows.window(12).inputs.shape[1] == 3
    assert rates == [learning_rate(learner.config, step) for step in range(13)]


@pytest.mark.parametrize("averaging", ["ema", "tail"])
def test_averaging_leaves_the_weights_that_learn_as_they_would_be(averaging):
    walk(plain := make_learner(), 38)
    walk(averaged := make_learner(averaging=averaging), 38)

    assert torch.equal(weights(plain), weights(averaged))
    mean = averaged.average.tensors()
    assert {f"average.weights.{n}" for n in model_weights(plain.model)} < mean.keys()


def test_the_state_is_carried_between_windows_and_dropped_at_the_epoch():
    learner = make_learner()
    learner.advance()
    carried = learner.state

    assert any(bool(tensor.any()) for layer in carried for tensor in layer)
    assert all(not tensor.requires_grad for layer in carried for tensor in layer)
    assert not learner.windows.window(len(learner.windows) - 1).fresh.any()
    assert learner.windows.window(len(learner.windows)).fresh.all()


def test_losses_are_those_of_a_uniform_guess_at_first():
    assert make_learner(dropout=0.0).advance().loss == pytest.approx(math.log(9), abs=0.05)
