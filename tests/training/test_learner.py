import numpy as np
import pytest
import torch

from charlm.data import make_windows
from charlm.model import LanguageModel, ModelConfig
from charlm.training import Learner, TrainingConfig


def make_learner(independent_frames=False, **settings):
    torch.manual_seed(0)
    tokens = np.random.default_rng(0).integers(0, 9, 400, dtype=np.uint8)
    config = TrainingConfig(**{"steps": 40, "batch_size": 4, "bptt": 8, **settings})
    windows = make_windows(
        tokens,
        batch_size=config.batch_size,
        bptt=config.bptt,
        start_id=7,
        independent_frames=independent_frames,
    )
    shape = ModelConfig(vocab_size=9, hidden_size=12, embedding_size=12, num_layers=2, dropout=0.4)
    return Learner(LanguageModel(shape), windows, config)


def weights(learner):
    return torch.cat([p.detach().flatten() for p in learner.model.parameters()])


@pytest.mark.parametrize("independent_frames", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_ten_steps_equal_five_resume_five_bit_for_bit(independent_frames, precision):
    straight = make_learner(independent_frames, precision=precision)
    for _ in range(10):
        straight.advance()

    first = make_learner(independent_frames, precision=precision)
    for _ in range(5):
        first.advance()
    kept = first.tensors()
    torch.manual_seed(99)  # another process has other random numbers
    second = make_learner(independent_frames, precision=precision)
    second.load_tensors(kept)
    second.step = first.step
    for _ in range(5):
        second.advance()

    assert torch.equal(weights(straight), weights(second))


def test_a_step_lowers_the_loss_of_its_window():
    learner = make_learner(warmup_steps=0, learning_rate=1e-2)
    first = learner.advance().loss
    for _ in range(39):
        last = learner.advance().loss

    assert last < first


def test_a_step_equals_one_written_by_hand():
    learner, by_hand = make_learner(warmup_steps=0), make_learner(warmup_steps=0)
    window = by_hand.windows[0]
    random = torch.get_rng_state()

    step = learner.advance()

    torch.set_rng_state(random)
    model = by_hand.model.train()
    logits, _ = model(torch.from_numpy(window.inputs), model.initial_state(4))
    targets = torch.from_numpy(window.targets)
    loss = torch.nn.functional.cross_entropy(logits[targets >= 0], targets[targets >= 0])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    by_hand.optimizer.step()
    assert step.loss == pytest.approx(loss.item())
    torch.testing.assert_close(weights(learner), weights(by_hand))


def test_a_step_that_is_not_finite_changes_nothing():
    learner = make_learner()
    learner.advance()
    with torch.no_grad():
        learner.model.head.projection.bias[0] = float("nan")
    before = learner.tensors()

    step = learner.advance()

    assert not step.is_finite
    assert learner.step == 1
    for name, tensor in learner.tensors().items():
        if not name.startswith("random."):
            assert torch.equal(tensor.nan_to_num(), before[name].nan_to_num())


def test_the_state_is_carried_between_windows_and_dropped_at_the_epoch():
    learner = make_learner()
    learner.advance()
    carried = learner.state

    assert any(bool(tensor.any()) for layer in carried for tensor in layer)
    assert all(not tensor.requires_grad for layer in carried for tensor in layer)
    assert learner.windows[len(learner.windows) - 1].fresh.any() == np.False_
    assert learner.windows[0].fresh.all()
