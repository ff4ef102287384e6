"""Steps that are fitted to a time as a run goes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.training import Settled, Step, TrainingConfig, learner, read_given, run
from charlm.training.budget import Budget, fewest_steps, fitting_steps, is_settled, level_share
from charlm.training.common import last_common_step
from charlm.training.schedule import learning_rate

CONSTANT = {"schedule": "constant", "decay_share": 0.25}


def config(**settings):
    return TrainingConfig(**{"steps": 100, **CONSTANT, **settings})


@pytest.mark.parametrize(
    ("settings", "share"),
    [
        ({}, 0.75),
        ({"decay_share": None}, 0.7),
        ({"averaging": "ema"}, 0.75),
        ({"averaging": "tail"}, 0.75),
        ({"averaging": "tail", "average_share": 0.4}, 0.6),
        ({"averaging": "triggered"}, None),
        ({"decay_share": 0.0}, None),
        ({"decay_share": 1.0}, None),
        ({"schedule": "cosine", "decay_share": None}, None),
        ({"schedule": "plateau", "decay_share": None}, None),
    ],
    ids=str,
)
def test_only_what_comes_before_the_rate_falls_is_the_same_for_any_number_of_steps(settings, share):
    assert level_share(config(**settings)) == share


@given(
    st.integers(1, 10_000),
    st.floats(0.01, 1e5),
    st.floats(0.01, 1e5),
    st.integers(1, 100_000),
)
def test_steps_fit_the_time_the_text_and_what_has_been_done(step, seconds, budget, most):
    steps = fitting_steps(config(), step, seconds, Budget(budget, most))

    done = fewest_steps(config(), step)
    assert steps >= done
    assert steps == done or steps <= most
    assert steps == done or steps * seconds / step <= budget * (1 + 1e-9)
    if done < steps < most:
        assert (steps + 1) * seconds / step > budget * (1 - 1e-9)
    rates = [learning_rate(config(steps=steps, warmup_steps=0), at) for at in (0, step - 1)]
    assert rates == [config().learning_rate] * 2  # as they were before it was known


@given(
    st.integers(1, 300),
    st.floats(0.01, 0.99),
    st.floats(0.01, 0.99),
    st.sampled_from(["none", "tail"]),
)
def test_the_fewest_steps_have_what_was_done_in_common_with_any_longer_run(
    step, share, average_share, averaging
):
    given = {"decay_share": share, "average_share": average_share, "averaging": averaging}
    if averaging == "none":
        del given["average_share"]
    settings = config(**given)

    steps = fewest_steps(settings, step)

    def common(steps):
        return last_common_step(replace(settings, steps=steps)) or 0

    assert common(steps) >= step
    assert steps == step or common(steps - 1) < step
    assert is_settled(settings, common(steps), steps)
    assert common(steps) == step or not is_settled(settings, step, steps)


@pytest.fixture
def clock(monkeypatch):
    """Each step takes as long as is said; nothing else takes any time."""

    class Clock:
        now, step_seconds = 0.0, 0.1

        def monotonic(self):
            return self.now

    clock = Clock()
    take_steps = learner.Learner.take_steps

    def taking(self, count):
        clock.now += count * clock.step_seconds
        return take_steps(self, count)

    monkeypatch.setattr(learner.Learner, "take_steps", taking)
    monkeypatch.setattr(run, "time", clock)
    return clock


def budgeted(prepare, name, seconds, most=10_000, **settings):
    made = prepare(name, steps=50, valid_every=20, schedule="constant", **settings).run
    made.progress.budget_seconds, made.progress.max_steps = seconds, most
    return made


def test_a_slower_machine_takes_fewer_steps_and_ends_in_time(prepare, clock):
    made = budgeted(prepare, "slow", seconds=8.0)
    clock.step_seconds = 0.2

    events = list(made.events())

    (settled,) = (event for event in events if isinstance(event, Settled))
    assert (settled.step, settled.steps) == (29, 40)  # 30 has the first lower rate
    assert sum(isinstance(event, Step) for event in events) == 40
    assert clock.now == pytest.approx(8.0)


def test_a_machine_that_changes_its_pace_is_followed_until_the_rate_falls(prepare, clock):
    made = budgeted(prepare, "changing", seconds=8.0)

    for event in made.events():
        if isinstance(event, Step):
            clock.step_seconds = 0.3 if event.step < 10 else 0.05

    assert clock.now == pytest.approx(8.0, rel=0.2)
    assert made.progress.step > 80
    assert made.progress.budget is None


def test_no_text_is_read_more_often_than_it_is_worth(prepare, clock):
    made = budgeted(prepare, "short", seconds=1e6, most=60)

    list(made.events())

    assert made.progress.step == 60


@pytest.mark.parametrize(
    "settings",
    [
        *({"averaging": averaging} for averaging in ("none", "ema", "tail")),
        *({"averaging": "tail", "decay_share": share} for share in (0.1, 0.17, 0.4)),
        {"averaging": "tail", "average_share": 0.33, "decay_share": 0.1},
    ],
    ids=str,
)
def test_the_recipe_has_the_steps_that_were_taken_and_makes_the_same_run(prepare, clock, settings):
    made = budgeted(prepare, "first", seconds=6.0, **settings)
    rates = [event.learning_rate for event in made.events() if isinstance(event, Step)]

    recipe = read_given(made.folder / "recipe.toml", {})
    again = prepare("again", **{k: v for k, v in recipe.items() if k != "paths"}).run
    repeated = [event.learning_rate for event in again.events() if isinstance(event, Step)]

    assert recipe["steps"] == made.progress.step == 60
    assert repeated == rates
    for name, tensor in made.learner.tensors().items():
        assert again.learner.tensors()[name].equal(tensor)


def test_a_run_that_was_interrupted_still_keeps_to_its_time(prepare, clock, tmp_path):
    from charlm.training import resume_run

    made = budgeted(prepare, "interrupted", seconds=6.0)
    for event in made.events():
        if isinstance(event, Step) and event.step == 20:
            break
    made.save()
    clock.now += 1000

    resumed = resume_run(made.folder, made.learner.model.device).run
    events = list(resumed.events())

    assert [event.steps for event in events if isinstance(event, Settled)] == [60]
    assert resumed.progress.step == 60
