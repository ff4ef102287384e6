import math

import pytest

from charlm.training import TrainingConfig
from charlm.training.schedule import DECAY_SHARE, learning_rate, plateau_factor


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


@pytest.mark.parametrize("share", [None, 0.2, 0.35, 1.0])
def test_a_constant_rate_falls_in_a_line_over_the_last_share_of_the_steps(share):
    found = rates(schedule="constant", decay_share=share)

    falling = round(100 * (DECAY_SHARE if share is None else share))
    assert found[: 100 - falling] == [2.0] * (100 - falling)
    assert found[100 - falling :] == pytest.approx(
        [2.0 * left / falling for left in range(falling, 0, -1)]
    )


def test_a_constant_rate_need_never_fall():
    assert rates(schedule="constant", decay_share=0.0) == [2.0] * 100


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_other_rates_warm_up_too(schedule):
    plain, warm = rates(schedule=schedule), rates(schedule=schedule, warmup_steps=10)

    assert warm[:10] == pytest.approx([2.0 * (step + 1) / 11 for step in range(10)])
    assert warm[10:] == plain[10:]


def test_the_rate_of_a_plateau_falls_only_by_its_factor():
    assert rates(schedule="plateau") == [2.0] * 100
    assert plateau_factor(TrainingConfig(steps=1, schedule="plateau")) == 4
    assert plateau_factor(TrainingConfig(steps=1, schedule="plateau", plateau_factor=2.5)) == 2.5
    assert plateau_factor(TrainingConfig(steps=1)) == 1
