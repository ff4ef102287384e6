import math

import pytest
import torch

from charlm.checkpoint import load_checkpoint, load_state, model_weights, read_metrics
from charlm.errors import StorageError, TrainingError
from charlm.evaluation import estimate_nats
from charlm.training import Step, StoppedEarly, Validated, WentBack, resume_run
from charlm.training import run as run_module
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


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_with_two_threads_a_resumed_run_equals_a_straight_one(prepare, train, two_threads, cell):
    settings = {"cell": cell, "hidden_size": 256, "batch_size": 16, "dropout": 0.3, "steps": 6}
    straight = train("straight", **settings)
    run = prepare("stopped", **settings).run
    for event in run.events():
        if isinstance(event, Step) and event.step == 3:
            break
    run.save()

    for _ in resume_run(run.folder, CPU).run.events():
        pass

    resumed = run.folder / "model.safetensors"
    assert resumed.read_bytes() == (straight / "model.safetensors").read_bytes()


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
    learner, take_steps = run.learner, run.learner.take_steps
    broken = []

    def once_broken(count):
        if learner.step == 14 and not broken:
            broken.append(True)
            with torch.no_grad():
                learner.model.head.projection.bias.fill_(math.nan)
        return take_steps(count)

    monkeypatch.setattr(learner, "take_steps", once_broken)

    events = list(run.events())

    assert [e for e in events if isinstance(e, WentBack)] == [WentBack(15, 10, 0.5)]
    again = [e for e in events if isinstance(e, Step) and e.step == 11][-1]
    assert again.learning_rate == 0.5 * learning_rate(learner.config, 10)
    assert run.is_finished and math.isfinite(run.progress.best_nats)
    steps = [report["step"] for report in read_metrics(run.folder) if "loss" in report]
    assert steps == sorted(set(steps))


def test_a_device_that_is_seldom_waited_for_trains_the_same(prepare, monkeypatch):
    monkeypatch.setattr(run_module, "REPORTS", 1)
    settings = {"steps": 40, "valid_every": 9, "averaging": "ema"}
    waited = prepare(**settings).run
    events = list(waited.events())

    monkeypatch.setitem(run_module.AT_ONCE, "cpu", 16)
    seldom = prepare("seldom", **settings).run
    take_steps, counts = seldom.learner.take_steps, []
    monkeypatch.setattr(
        seldom.learner, "take_steps", lambda count: counts.append(count) or take_steps(count)
    )

    assert list(seldom.events()) == events
    assert counts == [9, 9, 9, 9, 4]
    assert seldom.learner.tensors().keys() == waited.learner.tensors().keys()
    for name, tensor in seldom.learner.tensors().items():
        assert torch.equal(tensor, waited.learner.tensors()[name])


def test_three_such_losses_in_a_row_end_the_run(prepare, monkeypatch):
    run = prepare(steps=30).run
    bad = Step(1, math.nan, 1.0, 0.1, 4)
    monkeypatch.setattr(run.learner, "take_steps", lambda count: [bad])

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
    take_steps = run.learner.take_steps

    def breaking(count):
        steps = take_steps(count)
        with torch.no_grad():
            run.learner.model.body.embedding.weight.fill_(math.nan)
        return steps

    monkeypatch.setattr(run.learner, "take_steps", breaking)
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
    assert all(report["tokens_per_second"] > 0 for report in losses)
    assert not any(name.startswith("valid_nats_") for report in valids for name in report)


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


def validations_of(monkeypatch, nats):
    """Have the validations give these, one after another."""
    nats = iter(nats)
    monkeypatch.setattr(run_module, "estimate_nats", lambda *_: next(nats))


def test_a_reported_loss_is_the_mean_since_the_last_report(prepare, monkeypatch):
    monkeypatch.setattr(run_module, "REPORTS", 4)
    run = prepare(steps=30, valid_every=10).run

    steps = [event for event in run.events() if isinstance(event, Step)]

    reports = [report for report in read_metrics(run.folder) if "loss" in report]
    assert [report["step"] for report in reports] == [7, 14, 21, 28, 30]
    for report, begin in zip(reports, range(0, 30, 7), strict=True):
        since = steps[begin : report["step"]]
        tokens = sum(step.num_tokens for step in since)
        nats = sum(step.loss * step.num_tokens for step in since)
        assert report["loss"] == pytest.approx(nats / tokens)
        assert report["learning_rate"] == since[-1].learning_rate
        assert report["tokens"] == sum(step.num_tokens for step in steps[: report["step"]])


@pytest.mark.parametrize("stop_at", [5, 10, 17])
def test_a_resumed_run_reports_what_it_would_have(prepare, train, monkeypatch, stop_at):
    def lines(folder):
        clocks = ("seconds", "tokens_per_second")
        return [
            {name: value for name, value in report.items() if name not in clocks}
            for report in read_metrics(folder)
        ]

    monkeypatch.setattr(run_module, "REPORTS", 4)
    given = {"steps": 30, "valid_every": 10, "averaging": "ema", "average_decay": 0.9}
    straight = train("straight", **given)
    run = prepare("stopped", **given).run
    for event in run.events():
        if isinstance(event, Step) and event.step == stop_at:
            run.save()  # a crash comes later than the last time the work was saved
        if isinstance(event, Step) and event.step == stop_at + 4:
            break
    resumed = resume_run(run.folder, CPU).run
    for _ in resumed.events():
        pass

    assert lines(run.folder) == lines(straight)


def test_the_better_of_the_raw_and_the_averaged_weights_is_kept(prepare, monkeypatch):
    validations_of(monkeypatch, [3.0, 2.5, 2.0, 2.2, 1.9, 1.8])  # raw, averaged, raw ...
    run = prepare(steps=30, valid_every=10, averaging="ema", average_decay=0.9).run
    saved = []

    validated = []
    for event in run.events():
        if isinstance(event, Validated):
            kept = model_weights(load_checkpoint(run.folder, CPU).model)
            raw = model_weights(run.learner.model)
            averaged = run.learner.average.tensors()
            validated.append(event)
            saved.append(
                (
                    all(torch.equal(kept[n], w) for n, w in raw.items()),
                    all(torch.equal(kept[n], averaged[f"average.weights.{n}"]) for n in raw),
                )
            )

    assert validated == [
        Validated(10, 2.5, True, 3.0, 2.5),
        Validated(20, 2.0, True, 2.0, 2.2),
        Validated(30, 1.8, True, 1.9, 1.8),
    ]
    assert saved == [(False, True), (True, False), (False, True)]
    valids = [report for report in read_metrics(run.folder) if "valid_nats" in report]
    names = ("valid_nats", "valid_nats_raw", "valid_nats_averaged")
    assert [[report[name] for name in names] for report in valids] == [
        [2.5, 3.0, 2.5],
        [2.0, 2.0, 2.2],
        [1.8, 1.9, 1.8],
    ]
    assert (run.progress.best_nats, run.progress.best_step) == (1.8, 30)


def test_the_figure_of_averaged_weights_is_that_of_the_weights_kept(prepare):
    run = prepare(averaging="tail", average_share=0.5, learning_rate=0.1).run

    last = [event for event in run.events() if isinstance(event, Validated)][-1]

    with run.learner.average.in_place(run.learner.model):
        averaged = estimate_nats(run.learner.model, run.valid, "float32")
    assert last.averaged_nats == averaged
    assert last.raw_nats == estimate_nats(run.learner.model, run.valid, "float32")
    assert last.nats == min(last.raw_nats, last.averaged_nats) and last.is_best
    kept = load_checkpoint(run.folder, CPU).model
    assert estimate_nats(kept, run.valid, "float32") == pytest.approx(last.nats, abs=1e-6)


@pytest.mark.parametrize(("raw", "averaged"), [(math.nan, 2.0), (2.0, math.nan), (2.0, math.inf)])
def test_what_is_not_finite_is_never_the_better(prepare, monkeypatch, raw, averaged):
    validations_of(monkeypatch, [raw, averaged])
    run = prepare(steps=5, averaging="ema").run

    validated = [event for event in run.events() if isinstance(event, Validated)]

    assert [(event.nats, event.is_best) for event in validated] == [(2.0, True)]
    assert None in read_metrics(run.folder)[-1].values()


def test_without_validation_the_mean_is_kept_once_it_has_begun(prepare):
    run = prepare(steps=7, split=(100.0, 0.0, 0.0), averaging="tail").run

    events = list(run.events())

    kept = model_weights(load_checkpoint(run.folder, CPU).model)
    averaged = run.learner.average.tensors()
    assert len(events) == 7
    for name in kept:
        assert torch.equal(kept[name], averaged[f"average.weights.{name}"])


def test_averaging_is_triggered_by_validations(prepare, monkeypatch):
    validations_of(monkeypatch, [3.0, 2.0, 2.5, 2.6, 2.7, 2.8, 2.9])
    settings = {"optimizer": "sgd", "averaging": "triggered", "trigger_interval": 2}
    run = prepare(steps=12, valid_every=2, **settings).run

    found = [event.averaged_nats for event in run.events() if isinstance(event, Validated)]

    # The fifth is worse than the second, more than two validations earlier: averaging begins.
    assert found == [None, None, None, None, None, 2.9]


def test_a_plateau_divides_the_rate_where_nothing_is_gained(prepare, monkeypatch):
    validations_of(monkeypatch, [3.0, 3.1, 2.0, 2.0, math.nan])
    run = prepare(
        steps=25, valid_every=5, schedule="plateau", plateau_factor=10.0, warmup_steps=0
    ).run

    rates = [event.learning_rate for event in run.events() if isinstance(event, Step)]

    whole = run.learner.config.learning_rate
    assert rates == pytest.approx([whole] * 10 + [whole / 10] * 10 + [whole / 100] * 5)
    assert run.progress.rate_scale == pytest.approx(1e-3)


def test_a_plateau_and_a_setback_work_together(prepare, monkeypatch):
    validations_of(monkeypatch, [3.0, 3.1, 3.2])
    run = prepare(steps=15, valid_every=5, schedule="plateau", warmup_steps=0).run
    learner, take_steps = run.learner, run.learner.take_steps
    bad = Step(13, math.nan, 1.0, 0.1, 4)
    broken = []

    def once_broken(count):
        if learner.step == 12 and not broken:
            broken.append(True)
            return [bad]
        return take_steps(count)

    monkeypatch.setattr(learner, "take_steps", once_broken)

    events = list(run.events())

    assert [e for e in events if isinstance(e, WentBack)] == [WentBack(13, 10, 0.125)]
    rates = [e.learning_rate for e in events if isinstance(e, Step)][-5:]
    assert rates == pytest.approx([learner.config.learning_rate / 8] * 5)


def test_a_setback_forgets_the_steps_that_it_takes_back(prepare, train, monkeypatch):
    monkeypatch.setattr(run_module, "REPORTS", 1)
    run = prepare(steps=20, valid_every=5).run
    take_steps = run.learner.take_steps
    taken = []

    def once_broken(count):
        (step,) = take_steps(count)
        taken.append(step)
        return [Step(step.step, math.nan, 1.0, 0.1, 4) if len(taken) == 13 else step]

    monkeypatch.setattr(run.learner, "take_steps", once_broken)
    list(run.events())

    counted = taken[:10] + taken[13:]
    nats = sum(step.loss * step.num_tokens for step in counted)
    report = next(report for report in read_metrics(run.folder) if "loss" in report)
    assert [step.step for step in counted] == list(range(1, 21))
    assert report["loss"] == pytest.approx(nats / sum(step.num_tokens for step in counted))


def test_progress_keeps_the_best_validation_and_the_last(prepare, monkeypatch):
    validations_of(monkeypatch, [3.0, 2.0, 2.5])
    run = prepare(steps=30, valid_every=10).run

    for _ in run.events():
        pass

    assert (run.progress.best_nats, run.progress.best_step, run.progress.nats) == (2.0, 20, 2.5)


@pytest.mark.parametrize(
    "way",
    [
        {"optimizer": "muon", "averaging": "ema"},
        {"averaging": "triggered", "trigger_interval": 1, "learning_rate": 0.3, "valid_every": 1},
        {"schedule": "plateau", "averaging": "tail", "average_share": 0.7, "learning_rate": 0.1},
        {"variable_bptt": True, "partial_shuffle": True, "accumulation_steps": 2},
    ],
    ids=str,
)
def test_a_run_stopped_anywhere_resumes_to_the_same_bytes_in_every_way(prepare, train, way):
    given = {"steps": 30, "valid_every": 3, "warmup_steps": 0, **way}
    straight = train("straight", **given)
    run = prepare("stopped", **given).run
    for event in run.events():
        if isinstance(event, Step) and event.step == 22:
            break
    run.save()
    begun = run.learner.average.has_begun

    for _ in resume_run(run.folder, CPU).run.events():
        pass

    assert begun == ("averaging" in way)
    assert (run.folder / "model.safetensors").read_bytes() == (
        straight / "model.safetensors"
    ).read_bytes()
    ours, theirs = load_state(run.folder)[0], load_state(straight)[0]
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name])
