"""How long a step takes is measured with steps like those that will be taken."""

import numpy as np
import pytest
import torch

from charlm.data import make_epochs
from charlm.model import ModelConfig
from charlm.training import Learner, TrainingConfig, measure
from charlm.training.measure import WARM_UP_STEPS, measure_step

CPU = torch.device("cpu")
MODEL = ModelConfig(vocab_size=9, hidden_size=8, embedding_size=8)


@pytest.fixture(autouse=True)
def briefly(monkeypatch):
    monkeypatch.setattr(measure, "MAX_SECONDS", 0.05)


@pytest.fixture
def taken(monkeypatch):
    """The learners and steps of a measurement, in turn."""
    advance, taken = Learner.advance, []

    def record(learner):
        taken.append((learner, advance(learner)))
        return taken[-1][1]

    monkeypatch.setattr(Learner, "advance", record)
    return taken


def measure_small(**given):
    training = TrainingConfig(**{"steps": 1, "batch_size": 2, "bptt": 4, "warmup_steps": 2} | given)
    tokens = np.arange(100, dtype=np.uint32) % 9
    windows = make_epochs(tokens, batch_size=2, bptt=4, start_id=9, independent_frames=False)
    return measure_step(MODEL, training, windows, CPU), windows


def test_measuring_takes_steps_and_leaves_the_random_numbers_alone(taken):
    before = torch.get_rng_state()

    seconds, windows = measure_small()

    assert 0 < seconds < 0.1
    assert torch.equal(torch.get_rng_state(), before)
    assert len(taken) >= WARM_UP_STEPS + 3
    assert {learner.windows for learner, _ in taken} == {windows}


@pytest.mark.parametrize(
    "given",
    [
        {"schedule": "cosine"},
        {"schedule": "constant", "decay_share": 0.5},
        {"schedule": "plateau", "plateau_factor": 2.0},
    ],
    ids=str,
)
def test_the_steps_measured_learn_at_a_rate_that_a_run_has(taken, given):
    measure_small(**given)

    assert all(step.is_finite for _, step in taken)
    assert all(0 < step.learning_rate <= 5e-3 for _, step in taken)
    assert taken[-1][1].step == len(taken)


def test_the_mean_of_weights_is_measured_too(taken):
    measure_small(averaging="tail")

    assert all(learner.average.has_begun for learner, _ in taken)


def test_a_step_of_several_windows_takes_as_many(monkeypatch):
    learn, windows = Learner._learn, []
    monkeypatch.setattr(
        Learner, "_learn", lambda learner, *given: windows.append(1) or learn(learner, *given)
    )
    advance, steps = Learner.advance, []
    monkeypatch.setattr(Learner, "advance", lambda learner: steps.append(1) or advance(learner))

    measure_small(accumulation_steps=3)

    assert len(windows) == 3 * len(steps)


def test_slow_moments_count_as_they_will_in_the_run(monkeypatch):
    now = [0.0]
    durations = iter([*[9.0] * WARM_UP_STEPS, 0.01, 4.0, 0.02])

    def advance(learner):
        now[0] += next(durations)

    monkeypatch.setattr(Learner, "advance", advance)
    monkeypatch.setattr(measure.time, "perf_counter", lambda: now[0])

    assert measure_small()[0] == pytest.approx(4.03 / 3)
