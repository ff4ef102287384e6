import pytest

from charlm.training import TrainingConfig
from charlm.training.averaging import tail_steps
from charlm.training.common import last_common_step, needs_level_state
from charlm.training.schedule import learning_rate


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 1 / 3, 0.5, 0.7, 0.99])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 11, 100, 997])
def test_all_rates_up_to_the_last_common_step_are_those_of_longer_runs(share, steps):
    config = TrainingConfig(steps=steps, schedule="constant", decay_share=share, warmup_steps=2)
    common = last_common_step(config) or 0

    for longer in (steps + 1, steps + 2, 2 * steps, 1000 * steps):
        other = TrainingConfig(steps=longer, schedule="constant", decay_share=share, warmup_steps=2)
        for step in range(common):
            assert learning_rate(config, step) == learning_rate(other, step)
        assert (last_common_step(other) or 0) >= common
    if common < steps:
        assert learning_rate(config, common) < learning_rate(other, common)


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 10, 99])
def test_averaging_of_the_last_steps_begins_after_the_last_common_one(share, steps):
    config = TrainingConfig(steps=steps, schedule="plateau", averaging="tail", average_share=share)

    assert (last_common_step(config) or 0) == steps - tail_steps(config)


def test_steps_that_never_depend_on_their_number_are_all_common():
    for schedule in ({"schedule": "plateau"}, {"schedule": "constant", "decay_share": 0.0}):
        config = TrainingConfig(steps=30, **schedule)
        assert last_common_step(config) == 30


def test_a_cosine_has_no_common_step():
    assert last_common_step(TrainingConfig(steps=30, schedule="cosine")) is None


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({"schedule": "plateau", "valid_every": 10}, False),
        ({"schedule": "plateau", "valid_every": 7}, True),  # the end validates out of turn
        ({"schedule": "constant", "valid_every": 10}, True),
        ({"schedule": "cosine", "valid_every": 7}, False),
    ],
)
def test_a_state_is_kept_apart_where_the_last_one_is_not_common(settings, needed):
    assert needs_level_state(TrainingConfig(steps=30, **settings)) == needed
