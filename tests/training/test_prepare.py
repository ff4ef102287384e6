import shutil
import signal
import subprocess
import sys

import pytest
import torch

from charlm.checkpoint import load_checkpoint
from charlm.errors import CheckpointError, ConfigError, TextError
from charlm.training import Step, find_part, read_given, resume_run

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


def test_held_out_tokens_serve_when_the_text_is_gone(train, corpus, monkeypatch, tmp_path):
    checkpoint = load_checkpoint(train(), CPU)
    before = find_part(checkpoint.config, checkpoint.tokenizer, "test").tokens.tolist()
    corpus.unlink()

    kept = find_part(checkpoint.config, checkpoint.tokenizer, "test").tokens.tolist()
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "empty"))

    assert kept == before
    with pytest.raises(TextError, match="does not exist"):
        find_part(checkpoint.config, checkpoint.tokenizer, "test")


def test_an_edited_text_is_never_served_from_the_cache(train, corpus):
    checkpoint = load_checkpoint(train(), CPU)
    corpus.write_text(corpus.read_text() + "more")

    with pytest.raises(CheckpointError, match="has changed"):
        find_part(checkpoint.config, checkpoint.tokenizer, "test")


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


def test_flags_win_over_a_recipe_and_a_new_length_replaces_the_old(train):
    recipe = train() / "recipe.toml"

    given = read_given(recipe, {"epochs": 2, "dropout": 0.7})

    assert (given["epochs"], given["dropout"], given["hidden_size"]) == (2, 0.7, 16)
    assert not {"steps", "warmup_steps", "valid_every"} & given.keys()


def test_a_flag_takes_the_place_of_its_alternative_in_a_recipe(train):
    recipe = train() / "recipe.toml"

    given = read_given(recipe, {"clip_value": 1.0, "hidden_size": 8, "valid": ("v.txt",)})

    assert not {"clip_norm", "embedding_size", "split"} & given.keys()


def test_without_a_text_the_error_says_how_to_name_one():
    with pytest.raises(ConfigError, match=r"charlm train corpus\.txt"):
        read_given(None, {})


@pytest.mark.parametrize("level", ["char", "word", "byte", "bpe"])
@pytest.mark.parametrize("cell", ["rnn", "rnn-relu", "lstm", "gru"])
def test_every_level_and_cell_trains_loads_and_resumes(prepare, level, cell):
    run = prepare(level=level, cell=cell, num_layers=2, steps=6, valid_every=2, bptt=8).run
    for event in run.events():
        if isinstance(event, Step) and event.step == 3:
            break
    run.save()

    finish(run.folder)

    assert load_checkpoint(run.folder, CPU).model.config.cell == cell
    shutil.rmtree(run.folder)
