import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from charlm.checkpoint import load_checkpoint, load_state, read_config, read_metrics
from charlm.errors import CheckpointError, StorageError
from charlm.training import (
    Length,
    Step,
    create_run,
    find_run,
    plan_run,
    prepare_run,
    resume_backward,
    resume_run,
    same_texts,
)
from charlm.training.texts import find_corpus

CPU = torch.device("cpu")
SHORT = {"hidden_size": 8, "batch_size": 2, "bptt": 8, "valid_every": 2}


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def finish(run):
    for _ in run.events():
        pass
    return run.folder


def take(run, step):
    """Train to a step, and leave the work unsaved as a crash would."""
    events = run.events()
    for event in events:
        if isinstance(event, Step) and event.step == step:
            return events
    raise AssertionError


def test_resuming_a_run_in_use_changes_nothing(prepare):
    run = prepare(steps=30, valid_every=10).run
    events = take(run, 15)  # reports of five steps more than are saved
    before = contents(run.folder)

    for length in (None, Length(steps=60)):
        with pytest.raises(StorageError, match="in use by another process"):
            resume_run(run.folder, CPU, length)

    assert contents(run.folder) == before
    assert len([r for r in read_metrics(run.folder) if "loss" in r]) == 15
    events.close()


def test_a_run_is_locked_from_its_resumption_to_its_end(prepare):
    run = prepare(steps=20, valid_every=10).run
    take(run, 10).close()

    resumed = resume_run(run.folder, CPU).run
    with pytest.raises(StorageError, match="in use"):
        resume_run(run.folder, CPU)
    finish(resumed)

    with pytest.raises(CheckpointError, match="is finished"):
        resume_run(run.folder, CPU)


def test_a_run_whose_resumption_failed_is_free_again(prepare, corpus):
    run = prepare(steps=20, valid_every=10).run
    text = corpus.read_text()
    corpus.write_text(text + "more")
    with pytest.raises(CheckpointError, match="has changed") as kept:
        resume_run(run.folder, CPU)
    corpus.write_text(text)

    finish(resume_run(run.folder, CPU).run)

    assert kept  # with all that was alive when it failed


def test_the_whole_of_a_run_in_both_directions_is_locked_by_either_half(prepare):
    folder = finish(prepare(**SHORT, steps=4, direction="both").run)
    events = take(resume_run(folder, CPU).run, 2)

    for locked in (folder, folder / "backward"):
        with pytest.raises(StorageError, match=f"{locked} is in use"):
            resume_run(locked, CPU)
    events.close()


def test_a_run_can_be_resumed_before_anything_was_trained(prepare, train):
    straight = train("straight", steps=6)

    resumed = finish(resume_run(prepare("killed", steps=6).run.folder, CPU).run)

    for name in ("model.safetensors", "state/training.safetensors"):
        assert load_tensors(resumed / name) == load_tensors(straight / name)


def load_tensors(path):
    from charlm.checkpoint.weights import read_tensors

    return {name: tensor.tolist() for name, tensor in read_tensors(path)[0].items()}


def count_operations(failing, plan, tmp_path):
    with failing(within=tmp_path) as faults:
        finish(create_run(plan, tmp_path / "counted", CPU).run)
    return len(faults.log)


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_a_fault_at_any_write_loses_nothing(failing, tmp_path, corpus, train, lasting):
    """Of making a run and of all its saves: what was whole stays whole, and a run goes on."""
    plan = plan_run({"paths": (str(corpus),), **SHORT, "steps": 3}, CPU)
    total = count_operations(failing, plan, tmp_path)
    straight = load_tensors(tmp_path / "counted" / "model.safetensors")
    other = contents(train("other", steps=2))
    folder = tmp_path / "run"

    outcomes = set()
    for at in range(1, total + 1):
        with (
            suppress(StorageError),  # making a folder that is there may fail
            failing(at, within=tmp_path, lasting=lasting) as faults,
        ):
            finish(create_run(plan, folder, CPU).run)

        assert faults.has_failed
        outcomes.add(folder.exists())
        if folder.exists():
            load_checkpoint(folder, CPU)
            run = resume_or_none(folder)
            if run is not None:
                finish(run)
        else:
            finish(create_run(plan, folder, CPU).run)
        assert load_tensors(folder / "model.safetensors") == straight, faults.log[at - 1]
        assert not list(tmp_path.rglob("*.tmp")), faults.log[at - 1]
        shutil.rmtree(folder)
    assert outcomes == {False, True}
    assert contents(tmp_path / "other") == other


def resume_or_none(folder):
    """The run, or None where all its steps were saved before the fault."""
    try:
        return resume_run(folder, CPU).run
    except CheckpointError as error:
        assert "is finished" in str(error)
        return None


def test_a_fault_while_a_run_is_made_longer_loses_nothing(failing, tmp_path, prepare):
    settings = {**SHORT, "schedule": "constant", "decay_share": 0.5, "warmup_steps": 0}
    begun = finish(prepare("begun", **settings, steps=4).run)
    shutil.copytree(begun, tmp_path / "counted")
    with failing(within=tmp_path) as faults:
        resume_run(tmp_path / "counted", CPU, Length(steps=6))
    finish(resume_run(tmp_path / "counted", CPU).run)
    straight = load_tensors(tmp_path / "counted" / "state" / "training.safetensors")
    folder = tmp_path / "run"

    for at in range(1, len(faults.log) + 1):
        shutil.copytree(begun, folder)
        with suppress(StorageError), failing(at, within=tmp_path):
            resume_run(folder, CPU, Length(steps=6))
        steps = [report["step"] for report in read_metrics(folder) if "loss" in report]
        assert steps in ([1, 2, 3, 4], [1, 2, 3])

        load_checkpoint(folder, CPU)
        finish(resume_run(folder, CPU, Length(steps=6)).run)

        assert load_tensors(folder / "state" / "training.safetensors") == straight
        shutil.rmtree(folder)


@pytest.fixture
def runs(tmp_path, monkeypatch, tale):
    """Make a run on a text: `runs("a/tale.txt", "name")`, the later the newer."""
    monkeypatch.chdir(tmp_path)

    def make(*texts, name):
        for text in texts:
            Path(text).parent.mkdir(exist_ok=True)
            Path(text).write_text(tale)
        given = {"paths": texts, **SHORT, "steps": 2}
        return prepare_run(given, Path("checkpoints", name), CPU).run.folder

    return make


def test_the_newest_run_on_a_text_is_found_by_the_text(runs, tmp_path):
    runs("a/tale.txt", name="tale")
    named_otherwise = runs("a/tale.txt", name="other")
    namesake = runs("b/tale.txt", name="tale-2")
    both = runs("a/tale.txt", "b/tale.txt", name="tale-3")

    assert find_run(["a/tale.txt"]) == named_otherwise
    assert find_run([str(tmp_path / "a" / ".." / "a" / "tale.txt")]) == named_otherwise
    assert find_run(["b/tale.txt"]) == namesake
    assert find_run(["a/tale.txt", "b/tale.txt"]) == both
    with pytest.raises(CheckpointError, match=r"no run on c/tale\.txt in checkpoints/"):
        find_run(["c/tale.txt"])


def test_a_run_on_a_folder_is_found_by_the_folder(runs):
    on_folder = runs("letters/a.txt", "letters/b.txt", name="letters")
    runs("letters/a.txt", name="a")

    assert find_run(["letters"]) == on_folder
    assert same_texts(["letters/"], ("letters/a.txt", "letters/b.txt"))
    assert not same_texts(["letters/"], ("letters/a.txt",))


def test_names_that_no_file_can_have_are_other_texts():
    assert not same_texts(["a.txt"], ("\0",))


def test_a_run_keeps_its_heldout_texts_in_its_configuration(prepare):
    run = prepare(steps=4).run
    private = prepare("private", steps=4, keep_text=False).run

    for each in (run, private):
        assert each.config == read_config(each.folder / "config.json")
    assert run.config.heldout is not None and private.config.heldout is None


def test_a_damaged_run_does_not_hide_the_run_on_a_text(runs):
    found = runs("a.txt", name="whole")
    damaged = runs("a.txt", name="damaged")
    (damaged / "config.json").write_text("[" * 100_000)

    assert find_run(["a.txt"]) == found


def test_a_longer_run_in_both_directions_has_two_halves_of_that_length(prepare):
    given = {**SHORT, "direction": "both", "schedule": "constant", "decay_share": 0.5}
    given |= {"warmup_steps": 0}
    straight = finish(prepare("straight", **given, steps=8).run)
    finish(resume_run(straight, CPU).run)
    folder = finish(prepare("extended", **given, steps=4).run)
    finish(resume_run(folder, CPU).run)

    finish(resume_run(folder, CPU, Length(steps=8)).run)
    finish(resume_backward(folder, CPU).run)

    assert resume_backward(folder, CPU) is None
    for half in ("", "backward"):
        ours, theirs = (run / half / "state" / "training.safetensors" for run in (folder, straight))
        assert load_tensors(ours) == load_tensors(theirs)
    assert load_state(folder)


@pytest.mark.parametrize("labels", [("cat", "cow"), ("dog", "cat")])
def test_a_run_whose_labels_are_not_those_of_its_corpus_is_one_clear_line(tmp_path, labels):
    """A stranger's config.json may name any labels that fit the weights."""
    rows = [f"{label}\tThe {label} is {n}.\n" for n in range(60) for label in ("cat", "dog")]
    (tmp_path / "pets.tsv").write_text("".join(rows))
    given = {"paths": (str(tmp_path / "pets.tsv"),), "label": "both", "steps": 6, **SHORT}
    run = prepare_run(given, tmp_path / "run", CPU).run
    changed = replace(run.config, labels=labels)

    assert find_corpus(run.config).labels == ("cat", "dog")
    with pytest.raises(CheckpointError, match=r"labels of .*pets\.tsv are \['cat', 'dog'\], but"):
        find_corpus(changed)
