import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from charlm.checkpoint import load_checkpoint
from charlm.data import PARTS, encode_part, read_corpus, turn
from charlm.errors import CharlmError, CheckpointError, ConfigError, StorageError, TextError
from charlm.training import (
    Step,
    create_backward,
    create_run,
    find_part,
    plan_run,
    prepare_run,
    read_given,
    resume_run,
)

CPU = torch.device("cpu")

KILLED_AT_STEP_20 = """
import os, signal, sys
from pathlib import Path
import torch
from charlm.training import Step, prepare_run

given = {"paths": (sys.argv[1],), "steps": 40, "valid_every": 10, "hidden_size": 16,
         "batch_size": 4, "bptt": 16, "dropout": 0.3}
for event in prepare_run(given, Path(sys.argv[2]), torch.device("cpu")).run.events():
    if isinstance(event, Step) and event.step == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
"""


def finish(folder):
    for _ in resume_run(folder, CPU).run.events():
        pass


@pytest.mark.parametrize("step", [3, 20])
def test_a_killed_run_resumes_to_the_same_bytes(prepare, corpus, tmp_path, step):
    straight = prepare("straight", dropout=0.3).run
    for _ in straight.events():
        pass
    command = [sys.executable, "-c", KILLED_AT_STEP_20, str(corpus), str(tmp_path / "k"), str(step)]

    killed = subprocess.run(command, check=False)
    evaluable = load_checkpoint(tmp_path / "k", CPU)
    finish(tmp_path / "k")

    assert killed.returncode == -signal.SIGKILL
    assert evaluable.model is not None
    resumed, whole = tmp_path / "k" / "model.safetensors", straight.folder / "model.safetensors"
    assert resumed.read_bytes() == whole.read_bytes()


def test_an_interrupted_run_resumes_to_the_same_bytes(prepare, train):
    straight = train("straight", independent_frames=True, frame="paragraph")
    run = prepare("stopped", independent_frames=True, frame="paragraph").run
    for event in run.events():
        if isinstance(event, Step) and event.step == 17:
            break
    run.save()

    finish(run.folder)

    resumed = run.folder / "model.safetensors"
    assert resumed.read_bytes() == (straight / "model.safetensors").read_bytes()


def test_a_finished_run_cannot_be_resumed(train):
    with pytest.raises(CheckpointError, match="is finished, at step 40 of 40"):
        resume_run(train(), CPU)


def test_resuming_on_another_text_is_refused(prepare, corpus):
    run = prepare().run
    run.save()
    corpus.write_text("something else entirely")

    with pytest.raises(CheckpointError, match="has changed"):
        resume_run(run.folder, CPU)


def test_cached_tokens_serve_when_a_text_that_is_not_kept_is_gone(
    train, corpus, monkeypatch, tmp_path
):
    checkpoint = load_checkpoint(train(keep_text=False), CPU)
    before = find_part(checkpoint, "test").tokens.tolist()
    corpus.unlink()

    kept = find_part(checkpoint, "test").tokens.tolist()
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "empty"))

    assert kept == before
    with pytest.raises(TextError, match=r"run does not keep its test text: .* does not exist"):
        find_part(checkpoint, "test")


def test_an_edited_text_is_never_served_from_the_cache(train, corpus):
    checkpoint = load_checkpoint(train(keep_text=False), CPU)
    corpus.write_text(corpus.read_text() + "more")

    with pytest.raises(CheckpointError, match=r"does not keep its test text: .* has changed"):
        find_part(checkpoint, "test")


@pytest.mark.parametrize("fate", ["edited", "gone"])
@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
def test_kept_texts_serve_whatever_became_of_the_corpus(
    prepare, corpus, monkeypatch, tmp_path, fate, direction
):
    run = prepare(direction=direction).run
    checkpoint = load_checkpoint(run.folder, CPU)
    read = read_corpus(checkpoint.config.corpus, checkpoint.config.text)
    before = {p: encode_part(read, p, checkpoint.tokenizer).array.tolist() for p in PARTS}
    if fate == "gone":
        corpus.unlink()
    else:
        corpus.write_text("something else entirely")
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "empty"))
    moved = replace(checkpoint, folder=run.folder.rename(tmp_path / "moved"))

    for part in ("valid", "test"):
        assert find_part(moved, part).array.tolist() == before[part]
    with pytest.raises(CharlmError, match="moved does not keep its training text"):
        find_part(moved, "train")


def test_a_backward_half_shares_the_kept_texts(prepare):
    run = prepare(direction="both", steps=2).run
    for _ in run.events():
        pass
    half = create_backward(run.folder, CPU).run

    assert half.config.heldout == run.config.heldout
    assert not (half.folder / "heldout").exists()
    tokens = find_part(load_checkpoint(half.folder, CPU), "test").array
    forward = find_part(load_checkpoint(run.folder, CPU), "test").array
    assert tokens.tolist() == turn(forward, forward[:0], half_tokenizer(half)).tolist()


def half_tokenizer(run):
    return load_checkpoint(run.folder, CPU).tokenizer


def test_private_texts_are_not_kept_and_a_recipe_says_so(train):
    folder = train(keep_text=False)

    assert not (folder / "heldout").exists()
    assert load_checkpoint(folder, CPU).config.heldout is None
    assert read_given(folder / "recipe.toml", {})["keep_text"] is False


def test_a_failed_preparation_leaves_no_folder(prepare, tmp_path):
    with pytest.raises(TextError):
        prepare("run", bptt=100_000)

    assert not (tmp_path / "run").exists()


def test_the_same_seed_gives_the_same_model_and_another_one_another(train):
    first, same, other = train("1", seed=5), train("2", seed=5), train("3", seed=6)

    def model(folder):
        return (folder / "model.safetensors").read_bytes()

    assert model(first) == model(same) != model(other)


def test_notes_say_when_the_vocabulary_is_smaller_than_asked(prepare):
    notes = prepare(level="word", vocab_size=100_000).notes

    assert any("fewer than --vocab-size 100,000" in note for note in notes)


def test_a_byte_order_mark_is_noted(prepare, corpus):
    corpus.write_bytes(b"\xef\xbb\xbf" + corpus.read_bytes())

    assert any("byte-order mark" in note for note in prepare().notes)


def test_patience_without_validation_is_refused(prepare):
    with pytest.raises(ConfigError, match="--patience has no effect"):
        prepare(split=(100.0, 0.0, 0.0), patience=2)


SETTINGS = {"hidden_size": 16, "batch_size": 4, "bptt": 16, "steps": 6, "valid_every": 3}
MODEL_FILES = ("config.json", "recipe.toml", "tokenizer.json", "model.safetensors")


def test_a_plan_made_first_and_created_later_is_the_same_run(corpus, tmp_path):
    given = {"paths": (str(corpus),), **SETTINGS, "dropout": 0.3, "weight_dropout": 0.2}
    at_once = prepare_run(given, tmp_path / "at once", CPU)
    for _ in at_once.run.events():
        pass
    planned = plan_run(given, CPU)
    torch.rand(7)  # whatever happens between
    later = create_run(planned, tmp_path / "later", CPU)
    for _ in later.run.events():
        pass

    assert (at_once.plan, at_once.notes) == (later.plan, later.notes)
    for name in MODEL_FILES:
        assert (later.run.folder / name).read_bytes() == (at_once.run.folder / name).read_bytes()


def test_planning_makes_no_folder(corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("charlm.training.prepare.measure_step", lambda *given: 0.01)
    before = sorted(tmp_path.rglob("*"))

    plan_run({"paths": (str(corpus),), "time": "10s"}, CPU)

    assert sorted(tmp_path.rglob("*")) == before


def test_a_planned_run_takes_no_folder_that_is_there(corpus, tmp_path):
    planned = plan_run({"paths": (str(corpus),), **SETTINGS}, CPU)
    (tmp_path / "run").mkdir()

    with pytest.raises(StorageError, match="exists and is never overwritten"):
        create_run(planned, tmp_path / "run", CPU)

    assert not any((tmp_path / "run").iterdir())


def test_a_folder_that_is_there_is_noticed_before_any_work(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("charlm.training.prepare.read_corpus", lambda *given: 1 / 0)

    with pytest.raises(StorageError, match="exists and is never overwritten"):
        prepare_run({"paths": (str(corpus),), **SETTINGS}, tmp_path, CPU)


@pytest.mark.parametrize(
    "cut", [{}, {"partial_shuffle": True}, {"frame": "paragraph", "independent_frames": True}]
)
def test_what_is_measured_is_what_will_be_trained_on(corpus, tmp_path, monkeypatch, cut):
    measured = []
    monkeypatch.setattr(
        "charlm.training.prepare.measure_step",
        lambda *given: measured.append(given) or 0.01,
    )
    given = {"paths": (str(corpus),), "time": "10s", "hidden_size": 16, **cut}

    planned = plan_run(given, CPU)

    ((model, training, epochs, device, _),) = measured
    run = create_run(planned, tmp_path / "run", CPU).run
    assert (model.hidden_size, device) == (16, CPU)
    assert (training.batch_size, training.bptt) == (
        planned.plan.training.batch_size,
        planned.plan.training.bptt,
    )
    assert len(epochs) == len(run.learner.windows)
    for number in (0, len(epochs) - 1):
        ours, own = epochs.window(number), run.learner.windows.window(number)
        assert ours.inputs.tolist() == own.inputs.tolist()
        assert ours.targets.tolist() == own.targets.tolist()


@pytest.mark.parametrize("cut", ["partial_shuffle", "variable_bptt"])
def test_windows_are_cut_as_asked_and_as_the_seed_has_it(prepare, cut):
    def windows(name, **given):
        epochs = prepare(name, **given).run.learner.windows
        return [epochs.window(number).inputs.tolist() for number in range(5)]

    plain = windows("plain")

    assert windows("other", seed=2) == plain
    assert windows("again", **{cut: True}) == windows("drawn", **{cut: True}) != plain
    assert windows("drawn anew", **{cut: True}, seed=2) != windows("once more", **{cut: True})


def test_the_first_stream_of_a_measured_window_is_the_beginning_of_the_text(
    corpus, tale, monkeypatch
):
    inputs = []
    monkeypatch.setattr(
        "charlm.training.prepare.measure_step",
        lambda model, training, epochs, device, seconds: (
            inputs.append(epochs.window(0).inputs[0]) or 0.01
        ),
    )

    planned = plan_run({"paths": (str(corpus),), "time": "10s"}, CPU)

    text = planned.tokenizer.decode([i for i in inputs[0] if i != planned.tokenizer.start_id])
    assert len(text) > 10 and tale.startswith(text)


def test_each_width_that_is_tried_is_measured_once(corpus, monkeypatch):
    widths = []
    monkeypatch.setattr(
        "charlm.training.prepare.measure_step",
        lambda model, *given: widths.append(model.hidden_size) or 0.5,
    )

    planned = plan_run({"paths": (str(corpus),), "time": "30s"}, CPU)

    assert widths == sorted(set(widths), reverse=True) and len(widths) > 1
    assert planned.plan.model.hidden_size == widths[-1]
    assert planned.plan.training.steps * 0.5 < 30


def test_time_spent_on_reading_is_taken_from_the_budget(corpus, monkeypatch):
    now = iter(range(0, 10_000, 40))  # each look at the clock comes 40 s after the one before
    monkeypatch.setattr("charlm.training.prepare.time.monotonic", lambda: float(next(now)))
    monkeypatch.setattr("charlm.training.prepare.measure_step", lambda *given: 0.5)

    plan = plan_run({"paths": (str(corpus),), "time": "2m", "hidden_size": 16}, CPU).plan

    assert plan.expected_seconds <= 120 - 2 * 40


def test_the_recipe_of_a_run_with_every_setting_makes_the_same_run(corpus, tmp_path):
    given = {
        "paths": (str(corpus),),
        **SETTINGS,
        "num_layers": 2,
        "hidden_size": 24,
        "last_hidden_size": 16,
        "mogrifier_steps": 2,
        "hidden_dropout": 0.1,
        "input_dropout": 0.2,
        "embedding_dropout": 0.3,
        "weight_dropout": 0.4,
        "activation_penalty": 2.0,
        "temporal_activation_penalty": 1.0,
        "variable_bptt": True,
        "partial_shuffle": True,
        "accumulation_steps": 2,
        "optimizer": "sgd",
        "learning_rate": 1.0,
        "schedule": "constant",
        "decay_share": 0.5,
        "averaging": "triggered",
        "trigger_interval": 1,
        "valid_every": 2,
        "clip_value": 0.1,
    }
    first = create_run(plan_run(given, CPU), tmp_path / "first", CPU).run
    for _ in first.events():
        pass

    again = prepare_run(read_given(first.folder / "recipe.toml", {}), tmp_path / "again", CPU).run
    for _ in again.events():
        pass

    assert again.learner.config == first.learner.config
    for name in MODEL_FILES:
        assert (again.folder / name).read_bytes() == (first.folder / name).read_bytes()


def notes_on(prepare, tmp_path, text, **given):
    path = tmp_path / "own.txt"
    path.write_text(text, encoding="utf-8")
    return " ".join(prepare(paths=(str(path),), **given).notes)


def test_a_text_of_a_script_without_spaces_is_noted_at_word_level(prepare, tmp_path):
    text = "".join(f"เดินครู{i}หมาบ้าน กินชอบ{i}เร็ว\n" for i in range(200))

    notes = notes_on(prepare, tmp_path, text, level="word")

    assert "Thai puts no spaces between words" in notes
    assert "of the tokens of the validation part are <other>" in notes


def test_han_and_kana_are_no_unknown_words(prepare, tmp_path):
    text = "".join(f"很书她家里你看走路{i % 7}今天天气猫は\n" for i in range(200))

    assert notes_on(prepare, tmp_path, text, level="word") == ""
