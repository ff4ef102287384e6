import math

import pytest
import torch

from charlm.checkpoint import load_checkpoint, load_state, model_weights, read_metrics
from charlm.errors import StorageError, TrainingError
from charlm.evaluation import estimate_nats
from charlm.training import Step, StoppedEarly, Validated, WentBack, resume_run
from charlm.training.schedule import learning_rate

CPU = torch.device("cpu")


def test_events_come_in_order_and_end_with_a_validation(prepare):
    run = prepare(steps=25, valid_every=10).run

    events = list(run.events())

    assert [e.step for e in events if isinstance(e, Step)] == list(range(1, 26))
    assert [e.step for e in events if isinstance(e, Validated)] == [10, 20, 25]
    assert run.is_finished


def test_the_best_weights_are_kept_not_the_last(prepare):
    run = prepare(steps=60, learning_rate=0.3, warmup_steps=0).run

    best = min((e for e in run.events() if isinstance(e, Validated)), key=lambda e: e.nats)

    kept = load_checkpoint(run.folder, CPU).model
    assert estimate_nats(kept, run.valid, "float32") == pytest.approx(best.nats, abs=1e-6)
    assert (run.progress.best_step, run.progress.best_nats) == (best.step, best.nats)


def test_without_validation_the_newest_weights_are_kept(prepare):
    run = prepare(steps=7, split=(100.0, 0.0, 0.0)).run

    events = list(run.events())

    kept = model_weights(load_checkpoint(run.folder, CPU).model)
    assert not any(isinstance(event, Validated) for event in events)
    for name, weight in model_weights(run.learner.model).items():
        assert torch.equal(kept[name], weight)


def test_patience_stops_a_run_that_no_longer_improves(prepare):
    run = prepare(steps=400, valid_every=2, patience=3, learning_rate=1.0, warmup_steps=0).run

    *_, validated, stopped = run.events()

    assert isinstance(stopped, StoppedEarly)
    assert run.progress.since_best == 3
    assert validated.step - run.progress.best_step == 6
    assert run.is_finished


def test_a_loss_that_is_not_finite_goes_back_with_half_the_rate(prepare, monkeypatch):
    run = prepare(steps=30, valid_every=10).run
    learner, advance = run.learner, run.learner.advance
    broken = []

    def advance_once_broken():
        if learner.step == 14 and not broken:
            broken.append(True)
            with torch.no_grad():
                learner.model.head.projection.bias.fill_(math.nan)
        return advance()

    monkeypatch.setattr(learner, "advance", advance_once_broken)

    events = list(run.events())

    assert [e for e in events if isinstance(e, WentBack)] == [WentBack(15, 10, 0.5)]
    again = [e for e in events if isinstance(e, Step) and e.step == 11][-1]
    assert again.learning_rate == 0.5 * learning_rate(learner.config, 10)
    assert run.is_finished and math.isfinite(run.progress.best_nats)
    steps = [report["step"] for report in read_metrics(run.folder) if "loss" in report]
    assert steps == sorted(set(steps))


def test_three_such_losses_in_a_row_end_the_run(prepare, monkeypatch):
    run = prepare(steps=30).run
    bad = Step(1, math.nan, 1.0, 0.1, 4)
    monkeypatch.setattr(run.learner, "advance", lambda: bad)

    went_back = []
    with pytest.raises(TrainingError, match="not finite 3 times in a row") as error:
        for event in run.events():
            went_back.append(event)

    assert len(went_back) == 2
    assert "\n" not in str(error.value)
    kept = model_weights(load_checkpoint(run.folder, CPU).model)
    assert all(bool(weight.isfinite().all()) for weight in kept.values())


def test_weights_that_were_broken_are_not_kept(prepare, monkeypatch):
    run = prepare(steps=30).run
    before = {k: v.clone() for k, v in model_weights(run.learner.model).items()}
    advance = run.learner.advance

    def breaking():
        step = advance()
        with torch.no_grad():
            run.learner.model.body.embedding.weight.fill_(math.nan)
        return step

    monkeypatch.setattr(run.learner, "advance", breaking)
    with pytest.raises(TrainingError):
        list(run.events())

    kept = model_weights(load_checkpoint(run.folder, CPU).model)
    assert all(torch.equal(kept[name], weight) for name, weight in before.items())


def test_a_run_that_is_stopped_keeps_its_work(prepare):
    run = prepare(steps=30, valid_every=10).run
    for event in run.events():
        if isinstance(event, Step) and event.step == 5:
            break
    run.save()

    kept = model_weights(load_checkpoint(run.folder, CPU).model)
    tensors, progress = load_state(run.folder)

    assert '"step": 5' in progress
    for name, weight in model_weights(run.learner.model).items():
        assert torch.equal(kept[name], weight)  # nothing was validated yet
        assert torch.equal(tensors[f"model.{name}"], weight)


def test_metrics_hold_all_that_a_plot_needs(train):
    reports = read_metrics(train(steps=20, valid_every=10))

    losses = [report for report in reports if "loss" in report]
    valids = [report for report in reports if "valid_nats" in report]
    assert [report["step"] for report in losses] == list(range(1, 21))
    assert [report["step"] for report in valids] == [10, 20]
    assert {"step", "tokens", "seconds", "loss", "learning_rate", "grad_norm"} <= losses[0].keys()
    assert losses[-1]["tokens"] > losses[0]["tokens"] > 0


def test_a_full_disk_leaves_the_last_checkpoint_whole(prepare, monkeypatch):
    run = prepare(steps=30, valid_every=10).run
    events = run.events()
    for event in events:
        if isinstance(event, Validated):
            break
    before = load_checkpoint(run.folder, CPU)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        list(events)

    after = load_checkpoint(run.folder, CPU)
    for name, weight in model_weights(before.model).items():
        assert torch.equal(model_weights(after.model)[name], weight)
    assert list(run.folder.rglob("*.tmp")) == []


@pytest.mark.parametrize("stop_at", [10, 20, 30])
def test_a_run_stopped_at_a_validation_resumes_to_the_same_bytes(prepare, train, stop_at):
    straight = train("straight", steps=30, valid_every=10)
    run = prepare("stopped", steps=30, valid_every=10).run
    for event in run.events():
        if isinstance(event, Step) and event.step == stop_at:
            break
    run.save()

    if not run.is_finished:
        for _ in resume_run(run.folder, CPU).run.events():
            pass

    weights = "model.safetensors"
    assert (run.folder / weights).read_bytes() == (straight / weights).read_bytes()
    validated = [report["step"] for report in read_metrics(run.folder) if "valid_nats" in report]
    assert validated == [10, 20, 30]


def test_a_validation_that_is_not_finite_is_never_the_best(prepare, monkeypatch):
    nats = iter([math.nan, 3.0, math.inf])
    monkeypatch.setattr("charlm.training.run.estimate_nats", lambda *_: next(nats))
    run = prepare(steps=30, valid_every=10).run

    best = [e.is_best for e in run.events() if isinstance(e, Validated)]

    assert best == [False, True, False]
    valids = [report for report in read_metrics(run.folder) if "valid_nats" in report]
    assert [report["valid_nats"] for report in valids] == [None, 3.0, None]


def test_two_processes_cannot_train_the_same_run(prepare):
    run = prepare(steps=30).run
    events = run.events()
    next(events)
    run.save()

    with pytest.raises(StorageError, match="in use by another process"):
        next(resume_run(run.folder, CPU).run.events())


def test_the_settings_of_a_resumed_run_are_those_it_began_with(prepare):
    run = prepare(steps=30, learning_rate=0.02).run
    run.save()
    recipe = run.folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("0.02", "0.5"))

    assert resume_run(run.folder, CPU).run.learner.config == run.learner.config


def test_a_run_without_validation_has_a_card_too(train):
    card = (train(split=(100.0, 0.0, 0.0)) / "README.md").read_text()

    assert "not validated" in card
