import math

import pytest

from charlm.training import TrainingConfig
from charlm.training.schedule import learning_rate


def rates(**settings):
    config = TrainingConfig(**{"steps": 100, "learning_rate": 2.0, "warmup_steps": 0, **settings})
    return [learning_rate(config, step) for step in range(config.steps)]


def test_without_warm_up_the_rate_is_half_a_cosine():
    for step, rate in enumerate(rates()):
        assert rate == pytest.approx(1 + math.cos(math.pi * step / 100))


def test_warm_up_rises_linearly_from_above_zero():
    plain, warm = rates(), rates(warmup_steps=10)

    for step in range(10):
        assert warm[step] == pytest.approx(plain[step] * (step + 1) / 11)
    assert warm[10:] == plain[10:]


def test_the_rate_ends_near_zero_and_is_never_zero():
    assert 0 < rates(warmup_steps=20)[-1] < 0.01
    assert min(rates(warmup_steps=20)) > 0
