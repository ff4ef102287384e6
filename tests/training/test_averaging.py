"""Means of weights, against lists of all weights there were."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from charlm.training import TrainingConfig
from charlm.training.averaging import WeightAverage

STEPS = 20


def make_average(averaging, **given):
    return WeightAverage(TrainingConfig(steps=STEPS, averaging=averaging, **given))


class Path:
    """A model whose weights go through known values."""

    def __init__(self):
        torch.manual_seed(0)
        self.model = nn.Linear(3, 2)
        self.weights = []

    def step(self):
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(torch.randn_like(parameter))
        self.weights.append(flat(self.model))
        return len(self.weights)


def flat(model):
    return torch.cat([p.detach().double().flatten() for p in model.parameters()])


def mean_of(average, model):
    with average.in_place(model):
        return flat(model)


def walk(average, steps=STEPS):
    path = Path()
    for _ in range(steps):
        average.take_step(path.model, path.step())
    return path


@pytest.mark.parametrize("decay", [None, 0.9, 0.5])
def test_an_exponential_mean_weighs_by_age_and_forgets_the_untrained_weights(decay):
    for steps in (1, 2, 7, STEPS):
        path = walk(average := make_average("ema", average_decay=decay), steps)

        shares = [(decay or 0.999) ** age for age in reversed(range(steps))]
        expected = sum(s * w for s, w in zip(shares, path.weights, strict=True)) / sum(shares)
        torch.testing.assert_close(mean_of(average, path.model), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("share", "count"), [(None, 5), (0.1, 2), (0.9, 18), (1.0, 20), (1e-9, 1)])
def test_a_tail_is_the_plain_mean_of_the_last_steps(share, count):
    average = make_average("tail", average_share=share)
    path = walk(average)

    expected = torch.stack(path.weights[-count:]).mean(0)
    torch.testing.assert_close(mean_of(average, path.model), expected, rtol=1e-5, atol=1e-6)


def test_a_tail_begins_when_its_share_of_the_steps_is_left():
    average, path = make_average("tail"), Path()
    begun = []
    for _ in range(STEPS):
        average.take_step(path.model, path.step())
        begun.append(average.has_begun)

    assert begun == [False] * 15 + [True] * 5


def non_monotone_trigger(validations, interval):
    """Algorithm 1 of Merity et al. 2018 with the indices of their program; None: never."""
    logs = []
    for t, nats in enumerate(validations):
        if t > interval and nats > min(logs[i] for i in range(t - interval)):
            return t
        logs.append(nats)
    return None


@given(
    validations=st.lists(st.integers(0, 12).map(float), max_size=25),
    interval=st.one_of(st.none(), st.integers(1, 6)),
    every=st.integers(1, 3),
)
@settings(max_examples=150)
def test_a_triggered_mean_is_that_of_algorithm_1(validations, interval, every):
    average, path = make_average("triggered", trigger_interval=interval), Path()
    for nats in validations:
        for _ in range(every):
            average.take_step(path.model, path.step())
        average.take_validation(path.model, nats)

    trigger = non_monotone_trigger(validations, interval or 5)

    assert average.has_begun == (trigger is not None)
    if trigger is not None:
        since = (trigger + 1) * every - 1  # the weights that were tried then
        expected = torch.stack(path.weights[since:]).mean(0)
        torch.testing.assert_close(mean_of(average, path.model), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_validation_that_is_not_finite_is_worse_than_all_others(bad):
    average, path = make_average("triggered", trigger_interval=2), Path()
    for nats in (bad, 3.0, 2.0, 1.0):
        path.step()
        average.take_validation(path.model, nats)
        assert not average.has_begun

    average.take_validation(path.model, bad)

    assert average.has_begun


@pytest.mark.parametrize("averaging", ["none", "ema", "tail", "triggered"])
def test_the_weights_that_learn_are_left_alone(averaging):
    average = make_average(averaging)
    path = walk(average)
    for nats in (1.0, *[2.0] * 6):
        average.take_validation(path.model, nats)
    before = [p.detach().clone() for p in path.model.parameters()]

    if average.has_begun:
        with pytest.raises(KeyError), average.in_place(path.model):
            raise KeyError

    assert average.has_begun == (averaging != "none")
    for parameter, own in zip(path.model.parameters(), before, strict=True):
        assert torch.equal(parameter, own)


def test_tied_weights_are_averaged_once():
    model = nn.ModuleDict({"a": nn.Linear(2, 2, bias=False), "b": nn.Linear(2, 2, bias=False)})
    model["b"].weight = model["a"].weight
    average = make_average("ema", average_decay=0.5)
    for value in (1.0, 4.0):
        with torch.no_grad():
            model["a"].weight.fill_(value)
        average.take_step(model, 1)

    with average.in_place(model):
        assert model["b"].weight is model["a"].weight
        torch.testing.assert_close(model["b"].weight, torch.full((2, 2), 3.0))  # 1/3, 2/3


@pytest.mark.parametrize("averaging", ["ema", "tail", "triggered"])
@pytest.mark.parametrize("at", [3, 17])
def test_it_comes_back_exactly(averaging, at):
    def go(average, path, steps):
        for _ in range(steps):
            average.take_step(path.model, step := path.step())
            average.take_validation(path.model, 1.0 if step < 9 else 2.0)

    straight, other = make_average(averaging), make_average(averaging)
    path, again = Path(), Path()
    go(straight, path, STEPS)

    torch.manual_seed(0)
    again = Path()
    first = make_average(averaging)
    go(first, again, at)
    other.take_step(again.model, STEPS)  # what it held before is gone
    other.load_tensors({k: t.clone() for k, t in first.tensors().items()}, torch.device("cpu"))
    go(other, again, STEPS - at)

    assert straight.has_begun
    assert straight.tensors().keys() == other.tensors().keys()
    for name, tensor in straight.tensors().items():
        assert torch.equal(tensor, other.tensors()[name])
