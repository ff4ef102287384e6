from dataclasses import replace

import pytest

from charlm.display.training import TrainingDisplay, duration, show_end, show_plan
from charlm.training import Settled, Step, StoppedEarly, Validated, WentBack
from charlm.training.budget import Budget


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (65.2, "1:05"), (3723, "1:02:03"), (59.6, "1:00")]
)
def test_durations_are_readable(seconds, shown):
    assert duration(seconds) == shown


def test_off_a_terminal_every_validation_is_a_plain_line(prepare, capsys):
    run = prepare(steps=20).run

    with TrainingDisplay(run) as display:
        display.show(Step(1, 2.0, 1.0, 0.1, 64))
        display.show(Step(2, 2.0, 1.0, 0.1, 64))
        display.show(Validated(2, 1.75, True))
        display.show(WentBack(3, 0, 0.5))
        display.show(StoppedEarly(4, 2))
        display.show(Settled(14, 20))

    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert "step 2/20" in lines[0] and "loss 2.000" in lines[0] and "valid 1.750" in lines[0]
    assert "tokens/s" in lines[0] and "left" in lines[0]
    assert lines[1] == "loss not finite at step 3: back to step 0, learning rate times 0.5"
    assert lines[2] == "stopped at step 4: no new best in 2 validations"
    assert lines[3] == "step 14: the learning rate falls from here to step 20, the last"


def test_on_a_terminal_the_bar_and_the_sample_are_shown(prepare, capsys, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    run = prepare(steps=20).run

    with TrainingDisplay(run) as display:
        display.show(Step(1, 2.0, 1.0, 0.1, 64))
        wanted = display.wants_sample(Validated(1, 1.5, True))
        display.show(Validated(1, 1.5, True))
        display.show_sample("Once upon a time")

    assert wanted
    assert "Once upon a time" in capsys.readouterr().err


def test_the_plan_and_the_end_tell_what_happened(prepare, capsys):
    prepared = prepare(steps=20, valid_every=20)
    show_plan(prepared.plan, prepared.run)
    for _ in prepared.run.events():
        pass
    show_end(prepared.run)

    err = " ".join(capsys.readouterr().err.split())
    assert f"{prepared.run.num_parameters:,} parameters" in err
    assert " 20 steps of 4 x 16 tokens in float32" in err and "about 20 steps" not in err
    assert f"best: {prepared.run.progress.best_nats:.4f} nats per token" in err


def test_steps_that_follow_the_clock_are_told_as_about_so_many(prepare, capsys):
    budget = Budget(seconds=60.0, max_steps=100)
    prepared = prepare(steps=20)

    show_plan(replace(prepared.plan, budget=budget), prepared.run)

    assert "about 20 steps of 4 x 16 tokens" in " ".join(capsys.readouterr().err.split())


def test_the_bar_follows_the_steps_that_are_left(prepare, capsys):
    run = prepare(steps=20).run

    with TrainingDisplay(run) as display:
        display.show(Step(1, 2.0, 1.0, 0.1, 64))
        run.learner.config = replace(run.learner.config, steps=30)
        display.show(Step(2, 2.0, 1.0, 0.1, 64))
        display.show(Validated(2, 1.75, True))

    assert "step 2/30" in capsys.readouterr().err
