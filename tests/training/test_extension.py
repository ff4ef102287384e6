import json

import pytest
import torch

from charlm.checkpoint import (
    load_checkpoint,
    load_state,
    model_weights,
    read_history,
    read_metrics,
    save_state,
)
from charlm.cli.info import best_validation
from charlm.errors import CheckpointError, ConfigError
from charlm.location import LEVEL_STATE
from charlm.training import Length, Step, Validated, extension, resume_run
from charlm.training import run as run_module

CPU = torch.device("cpu")
CONSTANT = {"schedule": "constant", "warmup_steps": 2}
WAYS = {
    "level": CONSTANT | {"decay_share": 0.0, "valid_every": 10},
    "level, ending out of turn": CONSTANT | {"decay_share": 0.0, "valid_every": 8},
    "plateau": {"schedule": "plateau", "valid_every": 3, "warmup_steps": 0, "learning_rate": 0.1},
    "plateau, ending out of turn": {
        "schedule": "plateau",
        "valid_every": 4,
        "warmup_steps": 0,
        "learning_rate": 0.1,
    },
    "decay": CONSTANT | {"valid_every": 7},
    "decay and exponential averages": CONSTANT | {"averaging": "ema", "valid_every": 10},
    "decay and averages of the end": CONSTANT
    | {"averaging": "tail", "average_share": 0.6, "valid_every": 10},
    "averages of the end": CONSTANT
    | {"decay_share": 0.0, "averaging": "tail", "average_share": 0.4, "valid_every": 10},
    "triggered averages": CONSTANT
    | {
        "decay_share": 0.0,
        "averaging": "triggered",
        "trigger_interval": 1,
        "learning_rate": 0.3,
        "valid_every": 4,
    },
    "no validation": CONSTANT | {"split": (100.0, 0.0, 0.0), "valid_every": 10},
}


def finish(run):
    return list(run.events())


def state(folder):
    """The training state, without clocks and what tells of the shorter run."""
    tensors, text = load_state(folder)
    kept = json.loads(text)
    for name in ("seconds", "unreported_seconds", "earlier_nats", "earlier_step"):
        del kept["progress"][name]
    return {name: tensor.tolist() for name, tensor in tensors.items()}, kept


def change_level_state(folder, part, **values):
    """Set values in a part of what level.safetensors says of itself."""
    tensors, text = load_state(folder, LEVEL_STATE)
    kept = json.loads(text)
    kept[part].update(values)
    save_state(folder, tensors, json.dumps(kept), LEVEL_STATE)


def validations(folder):
    names = ("step", "valid_nats", "valid_nats_raw", "valid_nats_averaged")
    reports = [report for report in read_metrics(folder) if "valid_nats" in report]
    return [{name: report.get(name) for name in names} for report in reports]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stop", [False, True], ids=["at once", "stopped and resumed"])
def test_a_longer_run_is_bit_for_bit_what_it_would_have_been(
    prepare, train, monkeypatch, way, stop
):
    monkeypatch.setattr(run_module, "REPORTS", 1)  # at other steps, and with other sums
    straight = train("straight", steps=30, **WAYS[way])
    folder = train("extended", steps=18, **WAYS[way])

    prepared = resume_run(folder, CPU, Length(steps=30))
    assert "18 steps become 30" in prepared.notes[-1]
    assert "as if the run had been that long from the start" in prepared.notes[-1]
    if stop:
        for event in prepared.run.events():
            if isinstance(event, Step) and event.step == 20:
                break
        prepared.run.save()
        prepared = resume_run(folder, CPU)
    finish(prepared.run)

    ours, theirs = state(folder), state(straight)
    unreported = ("unreported_nats", "unreported_tokens")
    for kept in (ours[1], theirs[1]):
        for name in unreported:
            del kept["progress"][name]
    assert ours == theirs
    assert validations(folder) == validations(straight)
    assert (folder / "recipe.toml").read_text() == (straight / "recipe.toml").read_text()


def test_a_longer_run_ends_with_the_same_weights_where_its_last_are_the_best(
    prepare, train, monkeypatch
):
    def run(name, steps, nats):
        nats = iter(nats)
        monkeypatch.setattr(run_module, "estimate_nats", lambda *_: next(nats))
        return train(name, steps=steps, valid_every=10, **CONSTANT)

    straight = run("straight", 30, [3.0, 2.8, 2.0])
    folder = run("extended", 20, [3.0, 2.5])
    nats = iter([2.8, 2.0])
    monkeypatch.setattr(run_module, "estimate_nats", lambda *_: next(nats))
    prepared = resume_run(folder, CPU, Length(steps=30))

    finish(prepared.run)

    weights = "model.safetensors"
    assert (folder / weights).read_bytes() == (straight / weights).read_bytes()
    assert prepared.run.progress.kept == (2.0, 30)


def test_better_weights_of_the_shorter_run_are_kept(prepare, train, monkeypatch):
    nats = iter([3.0, 2.5, 2.8, 2.6])
    monkeypatch.setattr(run_module, "estimate_nats", lambda *_: next(nats))
    folder = train(steps=20, valid_every=10, **CONSTANT)
    before = (folder / "model.safetensors").read_bytes()

    run = resume_run(folder, CPU, Length(steps=30)).run
    validated = [event for event in finish(run) if isinstance(event, Validated)]

    assert [(event.nats, event.is_best) for event in validated] == [(2.8, True), (2.6, True)]
    assert (folder / "model.safetensors").read_bytes() == before
    assert run.progress.kept == (2.5, 20)
    assert "2.5000 nats per token at step 20 of 30" in (folder / "README.md").read_text()
    assert best_validation(read_history(folder).reports) == {"step": 20, "valid_nats": 2.5}


def test_better_weights_are_kept_also_before_the_first_validation(prepare, train):
    folder = train(steps=10, valid_every=10, **CONSTANT)  # level until step 7
    before = (folder / "model.safetensors").read_bytes()

    run = resume_run(folder, CPU, Length(steps=30)).run
    for event in run.events():
        if isinstance(event, Step) and event.step == 9:
            break
    run.save()

    assert run.progress.best_nats is None
    assert (folder / "model.safetensors").read_bytes() == before


def test_without_validation_the_newest_weights_stay_until_there_are_newer(prepare, train):
    folder = train(steps=10, split=(100.0, 0.0, 0.0), **CONSTANT)
    before = (folder / "model.safetensors").read_bytes()

    run = resume_run(folder, CPU, Length(steps=30)).run
    assert run.progress.step == 8
    assert (folder / "model.safetensors").read_bytes() == before
    finish(run)

    kept = model_weights(load_checkpoint(folder, CPU).model)
    for name, weight in model_weights(run.learner.model).items():
        assert torch.equal(kept[name], weight)


def test_a_run_can_be_made_longer_again_and_again(prepare, train):
    straight = train("straight", steps=40, valid_every=10, **CONSTANT)
    folder = train("extended", steps=10, valid_every=10, **CONSTANT)

    for steps in (15, 25, 40):
        finish(resume_run(folder, CPU, Length(steps=steps)).run)

    assert state(folder)[0] == state(straight)[0]


def test_a_run_that_was_stopped_can_be_made_longer_too(prepare, train):
    straight = train("straight", steps=40, valid_every=10, **CONSTANT)
    run = prepare("stopped", steps=20, valid_every=10, **CONSTANT).run
    for event in run.events():
        if isinstance(event, Step) and event.step == 9:
            break
    run.save()

    finish(resume_run(run.folder, CPU, Length(steps=40)).run)

    assert state(run.folder)[0] == state(straight)[0]


def test_epochs_are_those_of_the_whole_run(prepare, train):
    folder = train(steps=10, **CONSTANT)
    run = resume_run(folder, CPU, Length(epochs=2.0)).run

    assert run.learner.config.steps == -(-2 * len(run.learner.windows) // 1)


def test_the_same_length_again_goes_on_as_planned(prepare):
    run = prepare(steps=20, valid_every=10).run
    for event in run.events():
        if isinstance(event, Step) and event.step == 10:
            break
    run.save()

    prepared = resume_run(run.folder, CPU, Length(steps=20))

    assert prepared.notes == () and prepared.run.progress.step == 10
    finish(prepared.run)
    del prepared
    with pytest.raises(CheckpointError, match=r"is finished, at step 20 of 20; .*more --steps"):
        resume_run(run.folder, CPU, Length(steps=20))


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (Length(steps=19), "--steps 19 makes 19 steps, and the run has 20"),
        (Length(epochs=0.01), "--epochs 0.01 makes 2 steps, and the run has 20"),
        (Length(epochs=-1.0), "--epochs must be above 0"),
        (Length(epochs=1.0, steps=30), "exclude each other"),
        (Length(time="soon"), "--time must be a duration"),
    ],
)
def test_a_length_that_is_not_longer_is_refused_and_nothing_changes(train, length, said):
    folder = train(steps=20, **CONSTANT)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    with pytest.raises(ConfigError, match=said) as error:
        resume_run(folder, CPU, length)

    assert "\n" not in str(error.value)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_cosine_rises_again_and_says_so(train):
    folder = train(steps=20, valid_every=10, schedule="cosine", warmup_steps=0, learning_rate=0.01)

    prepared = resume_run(folder, CPU, Length(steps=40))
    rates = [e.learning_rate for e in prepared.run.events() if isinstance(e, Step)]

    assert prepared.notes[-1] == (
        "20 steps become 40, going on from step 20: the learning rate rises from 6.2e-05 to 0.005 "
        "and falls to 0 at step 40, so this is not what a run of that length from the start would "
        "have been."
    )
    assert len(rates) == 20 and rates[0] == pytest.approx(0.005)


def test_a_fall_whose_beginning_is_not_kept_rises_again_and_says_so(train):
    """As in a checkpoint of an older charlm."""
    folder = train(steps=20, valid_every=10, **CONSTANT)
    (folder / LEVEL_STATE).unlink()

    prepared = resume_run(folder, CPU, Length(steps=40))

    assert "going on from step 20: the learning rate rises from" in prepared.notes[-1]
    assert "and falls to 0 at step 40" in prepared.notes[-1]
    finish(prepared.run)
    assert (folder / LEVEL_STATE).exists()


def test_a_state_of_other_settings_is_not_gone_on_from(train):
    folder = train(steps=20, valid_every=10, **CONSTANT)
    other = train("other", steps=20, valid_every=10, **CONSTANT, seed=2)
    (other / LEVEL_STATE).replace(folder / LEVEL_STATE)

    prepared = resume_run(folder, CPU, Length(steps=40))

    assert prepared.run.progress.step == 20


def test_averages_of_the_end_begin_again_where_the_old_end_is_no_end(train):
    given = {"averaging": "tail", "average_share": 0.2, "schedule": "cosine"}
    folder = train(steps=20, valid_every=10, **given)

    run = resume_run(folder, CPU, Length(steps=60)).run

    assert not run.learner.average.has_begun


@pytest.mark.parametrize("schedule", [CONSTANT | {"decay_share": 0.0}, {"schedule": "cosine"}])
def test_a_run_that_stopped_early_is_not_made_longer(train, monkeypatch, schedule):
    nats = iter([2.0, 2.1, 2.2, 2.3])
    monkeypatch.setattr(run_module, "estimate_nats", lambda *_: next(nats))
    folder = train(steps=40, valid_every=5, patience=2, **schedule)

    with pytest.raises(CheckpointError, match=r"stopped early, at step 15: .*--patience"):
        resume_run(folder, CPU, Length(steps=60))


def test_a_run_that_stopped_early_in_its_decay_goes_on_from_before_it(train, monkeypatch):
    nats = iter([2.0, 1.9, 2.2, 2.3])
    monkeypatch.setattr(run_module, "estimate_nats", lambda *_: next(nats))
    folder = train(steps=20, valid_every=5, patience=2, **CONSTANT)

    assert resume_run(folder, CPU, Length(steps=60)).run.progress.step == 15


def test_a_run_that_stopped_early_after_it_was_made_longer_is_not_made_longer_again(
    train, monkeypatch
):
    """The state kept from before it was made longer comes before the end, too."""
    nats = iter([3.0, 2.9, 2.8, *([2.8] * 9)])
    monkeypatch.setattr(run_module, "estimate_nats", lambda *_: next(nats))
    folder = train(steps=30, valid_every=10, patience=2, **CONSTANT)
    run = resume_run(folder, CPU, Length(steps=200)).run
    finish(run)
    assert run.progress.stopped and run.progress.step == 50
    del run

    for length in (Length(steps=400), None):
        with pytest.raises(CheckpointError, match=r"stopped early, at step 50: .*--patience"):
            resume_run(folder, CPU, length)


def test_without_validation_newer_weights_are_never_replaced_by_older_ones(train):
    folder = train(steps=20, split=(100.0, 0.0, 0.0), valid_every=10, **CONSTANT)
    before = (folder / "model.safetensors").read_bytes()

    for steps in (23, 60):
        run = resume_run(folder, CPU, Length(steps=steps)).run
        assert run.progress.step < 19
        for event in run.events():
            if isinstance(event, Step) and event.step == 19:
                break
        run.save()
        assert run.progress.earlier_step == 20
        assert (folder / "model.safetensors").read_bytes() == before
        del run, event


def test_a_run_killed_while_it_is_made_longer_has_the_recipe_of_its_length(train, monkeypatch):
    folder = train(steps=20, valid_every=10, **CONSTANT)

    def kill(run):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run_module.TrainingRun, "save_recipe", kill)
        resume_run(folder, CPU, Length(steps=40))
    resume_run(folder, CPU, Length(steps=40))

    assert "steps = 40\n" in (folder / "recipe.toml").read_text()


def test_a_state_of_another_precision_is_said_to_be_one(train):
    folder = train(steps=20, valid_every=10, **CONSTANT)
    change_level_state(folder, "training", precision="bfloat16")

    note = resume_run(folder, CPU, Length(steps=40)).notes[-1]

    assert "from the start, but in float32 after bfloat16:" in note


def test_a_longer_run_compares_the_arithmetic_of_the_state_that_it_goes_on_from(train):
    folder = train(steps=20, valid_every=10, **CONSTANT)
    change_level_state(folder, "arithmetic", torch="0.4")

    assert "torch's version changed from 0.4" in resume_run(folder, CPU, Length(steps=40)).notes[-1]


class TestTime:
    """A time is that of the whole run, at the pace of the steps so far."""

    @pytest.fixture
    def pace(self, monkeypatch):
        """Have saved runs say that a step took a second."""

        def at_pace(original):
            def with_seconds(*given):
                for state in given[:-2]:
                    state.progress.seconds = float(state.progress.step)
                return original(*given)

            return with_seconds

        for name in ("check_time", "steps_in_time"):
            monkeypatch.setattr(extension, name, at_pace(getattr(extension, name)))

    def test_with_a_decay_the_steps_are_fitted_as_the_run_goes(self, train, pace):
        folder = train(steps=20, valid_every=10, **CONSTANT)

        prepared = resume_run(folder, CPU, Length(time="100s"))

        progress = prepared.run.progress
        assert progress.step == 15 and progress.budget.seconds == 97.0
        assert prepared.run.learner.config.steps == 97
        assert "20 steps become about 97" in prepared.notes[-1]

    def test_without_a_decay_they_are_fixed(self, train, pace):
        folder = train(steps=20, valid_every=10, **CONSTANT, decay_share=0.0)

        run = resume_run(folder, CPU, Length(time="100s")).run

        assert run.progress.budget is None and run.learner.config.steps == 97

    def test_a_time_that_is_over_is_refused(self, train, pace):
        folder = train(steps=20, valid_every=10, **CONSTANT)

        with pytest.raises(ConfigError, match="whole run, which has taken 20 s already"):
            resume_run(folder, CPU, Length(time="10s"))

    @pytest.mark.parametrize("share", [None, 0.0])
    def test_a_pace_beyond_all_numbers_is_as_many_epochs_as_a_text_is_worth(
        self, train, monkeypatch, share
    ):
        folder = train(steps=20, valid_every=10, **CONSTANT, decay_share=share)
        monkeypatch.setattr(extension.rules, "max_epochs", lambda facts: 2)
        original = extension.steps_in_time

        def at_once(base, time, size):
            base.progress.seconds = 5e-324
            return original(base, time, size)

        monkeypatch.setattr(extension, "steps_in_time", at_once)
        run = resume_run(folder, CPU, Length(time="100s")).run

        assert run.learner.config.steps == -(-2 * len(run.learner.windows) // 1)

    def test_a_level_state_without_a_pace_is_one_clear_line(self, train):
        folder = train(steps=20, valid_every=10, **CONSTANT)
        change_level_state(folder, "progress", seconds=0.0)

        with pytest.raises(ConfigError, match="--time has no effect before the first step"):
            resume_run(folder, CPU, Length(time="100s"))

    def test_a_timed_run_is_not_made_shorter(self, prepare):
        run = prepare(steps=1000, valid_every=10, **CONSTANT).run
        run.progress.budget_seconds, run.progress.max_steps = 500.0, 10_000
        for event in run.events():
            if isinstance(event, Step) and event.step == 20:
                break
        run.save()
        folder = run.folder
        del run

        with pytest.raises(ConfigError, match=r"--steps 25 makes 25 steps, and the run has 10,000"):
            resume_run(folder, CPU, Length(steps=25))
        with pytest.raises(ConfigError, match="--time 60s is for the whole run, which has 515 s"):
            resume_run(folder, CPU, Length(time="60s"))
        assert resume_run(folder, CPU, Length(time="600s")).run.progress.budget.seconds == 582.0

    def test_a_run_without_steps_has_no_pace(self, prepare):
        folder = prepare(steps=20, **CONSTANT).run.folder

        with pytest.raises(ConfigError, match="before the first step"):
            resume_run(folder, CPU, Length(time="10s"))
