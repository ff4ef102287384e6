import pytest
import torch
from torch import nn

from charlm.training import TrainingConfig
from charlm.training.optimizer import (
    clip_gradients,
    load_optimizer,
    make_optimizer,
    optimizer_tensors,
)


def model_with_gradients(scale=1.0):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter) * scale
    return model


def test_a_step_is_adamw_with_decay_on_matrices_only():
    model = model_with_gradients()
    before = [p.detach().double().clone() for p in model.parameters()]
    optimizer = make_optimizer(model, TrainingConfig(steps=1, weight_decay=0.1))
    for group in optimizer.param_groups:
        group["lr"] = 0.01

    optimizer.step()

    for old, new in zip(before, model.parameters(), strict=True):
        decayed = old * (1 - 0.01 * 0.1) if old.ndim > 1 else old
        expected = decayed - 0.01 * new.grad / (new.grad.abs() + 1e-8)  # first step: m/sqrt(v)
        torch.testing.assert_close(new.detach().double(), expected, rtol=1e-5, atol=1e-7)


def test_clipping_by_norm_scales_all_gradients_alike():
    model, raw = model_with_gradients(10), model_with_gradients(10)
    norm = torch.cat([p.grad.flatten() for p in raw.parameters()]).norm().item()

    reported = clip_gradients(model, TrainingConfig(steps=1, clip_norm=0.5))

    assert reported == pytest.approx(norm)
    for clipped, whole in zip(model.parameters(), raw.parameters(), strict=True):
        torch.testing.assert_close(clipped.grad, whole.grad * 0.5 / norm)


def test_clipping_by_value_cuts_each_element():
    model, raw = model_with_gradients(), model_with_gradients()

    clip_gradients(model, TrainingConfig(steps=1, clip_norm=None, clip_value=0.3))

    for clipped, whole in zip(model.parameters(), raw.parameters(), strict=True):
        assert torch.equal(clipped.grad, whole.grad.clamp(-0.3, 0.3))


def test_the_state_comes_back_exactly():
    first, second = model_with_gradients(), model_with_gradients()
    config = TrainingConfig(steps=1)
    one, other = make_optimizer(first, config), make_optimizer(second, config)
    one.step()
    tensors = optimizer_tensors(one)

    second.load_state_dict(first.state_dict())
    load_optimizer(other, tensors)
    one.step()
    other.step()

    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
