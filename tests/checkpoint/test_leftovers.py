import os
import shutil
import subprocess
import sys

import pytest
import torch

from charlm.checkpoint import (
    load_checkpoint,
    refuse_linked_folders,
    remove_checkpoint,
    remove_leftovers,
)
from charlm.errors import CheckpointError, StorageError
from charlm.location import FILES
from charlm.storage import FolderLock
from charlm.training import resume_run
from charlm.training.recipe import Length

CPU = torch.device("cpu")
ENDED = 999_999_999  # above any process id


@pytest.fixture
def nursery(prepare, tmp_path):
    """Return a function that leaves a checkpoint as a process killed while making it did."""

    def make(name="run", process=ENDED):
        prepare("made").run.folder.rename(folder := tmp_path / f".{name}.{process}.tmp")
        return folder

    return make


def test_files_of_killed_processes_are_removed(train):
    folder = train(steps=2)
    (folder / f".model.safetensors.{ENDED}.tmp").write_text("")
    (folder / f".metrics.jsonl.{os.getpid()}.tmp").write_text("")  # of an earlier one of our id
    (folder / "state" / f".training.safetensors.{ENDED}.tmp").write_text("")

    remove_leftovers(folder)

    assert list(folder.rglob("*.tmp")) == []
    assert load_checkpoint(folder, CPU)


@pytest.mark.parametrize(
    "name",
    [
        f".notes.txt.{ENDED}.tmp",
        ".model.safetensors.tmp",
        ".model.safetensors.0.tmp",
        f"model.safetensors.{ENDED}.tmp",
        f"state/.model.safetensors.{ENDED}.tmp",
        f".model.safetensors.{os.getppid()}.tmp",  # of a process that runs
    ],
)
def test_files_that_may_be_of_others_stay(train, name):
    folder = train(steps=2)
    (folder / name).write_text("precious")

    remove_leftovers(folder)

    assert (folder / name).read_text() == "precious"


def test_a_link_stays(train, tmp_path):
    folder = train(steps=2)
    link = folder / f".model.safetensors.{ENDED}.tmp"
    (tmp_path / "target").write_text("precious")
    link.symlink_to(tmp_path / "target")

    remove_leftovers(folder)

    assert link.is_symlink() and (tmp_path / "target").exists()


def test_the_next_run_removes_checkpoints_that_were_never_finished(nursery, prepare, tmp_path):
    whole = nursery("whole")
    begun = tmp_path / f".begun.{ENDED}.tmp"
    begun.mkdir()
    (begun / f".config.json.{ENDED}.tmp").write_text("{")
    (tmp_path / f".empty.{ENDED}.tmp").mkdir()
    assert (whole / "state").exists()

    prepare("next")

    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


def test_the_next_run_removes_an_unfinished_backward_half(train, tmp_path, nursery):
    folder = train("whole", steps=2)
    nursery("backward").rename(folder / f".backward.{ENDED}.tmp")

    remove_leftovers(folder)

    assert list(folder.glob(".*")) == []


def test_a_checkpoint_that_a_process_is_making_stays(nursery, prepare):
    running = nursery("running", os.getppid())
    locked = nursery("locked")

    with FolderLock(locked):
        prepare("next")

    assert (running / "config.json").exists() and (locked / "config.json").exists()


def test_the_lock_of_another_process_protects_its_checkpoint(nursery, prepare):
    """As on a shared disk, where the process id means nothing."""
    locked = nursery("locked")
    holds = "import sys; from pathlib import Path; from charlm.storage import FolderLock; "
    holds += "lock = FolderLock(Path(sys.argv[1])); print(flush=True); sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", holds, locked], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    other.stdout.readline()

    prepare("next")

    assert (locked / "config.json").exists()
    other.communicate(b"")


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "notes.txt").write_text("precious"),
        lambda folder: (folder / "state" / "notes.txt").write_text("precious"),
        lambda folder: (folder / "notes").mkdir(),
        lambda folder: (folder / "config.json").write_text("{}"),
        lambda folder: (folder / "config.json").unlink(),
        lambda folder: (folder / "README.md").symlink_to("/etc/hostname"),
    ],
    ids=["file", "file in state", "folder", "other config", "no config", "link"],
)
def test_a_folder_that_may_hold_other_files_stays_whole(nursery, prepare, change):
    folder = nursery()
    change(folder)
    before = sorted(folder.rglob("*"))

    prepare("next")

    assert sorted(folder.rglob("*")) == before


def test_a_folder_of_another_name_stays(nursery, prepare, tmp_path):
    kept = nursery().rename(tmp_path / ".run.old.tmp")

    prepare("next")

    assert kept.exists()


def test_only_leftovers_of_charlm_own_names_are_removed(train, tmp_path):
    folder = train(steps=2)
    foreign = [
        folder / f".notes.{ENDED}.tmp",
        folder / ".model.safetensors.tmp",
        folder / f".model.safetensors.{ENDED}.tmp.bak",
        folder / "state" / f".model.safetensors.{ENDED}.tmp",
        folder / "state" / f".training.txt.{ENDED}.tmp",
    ]
    for path in foreign:
        path.write_text("not charlm's")
    outside = tmp_path / "outside"
    outside.write_text("not charlm's")
    (folder / f".config.json.{ENDED}.tmp").symlink_to(outside)
    (folder / "mine").mkdir()
    (folder / "mine" / f".model.safetensors.{ENDED}.tmp").write_text("not charlm's")

    remove_leftovers(folder)

    assert all(path.exists() for path in [*foreign, folder / f".config.json.{ENDED}.tmp", outside])
    assert (folder / "mine" / f".model.safetensors.{ENDED}.tmp").exists()


def test_a_checkpoint_is_deleted_with_all_that_charlm_writes(train):
    folder = train(steps=2)
    (folder / f".model.safetensors.{ENDED}.tmp").write_text("")
    (folder / "tensorboard").mkdir()
    (folder / "tensorboard" / "events.out.tfevents.1.host").write_text("")

    remove_checkpoint(folder)

    assert not folder.exists()


@pytest.mark.parametrize("name", ["notes.txt", "state/notes.txt", "tensorboard/notes.txt", "mine/"])
def test_a_checkpoint_with_a_foreign_file_is_not_deleted(train, name):
    folder = train(steps=2)
    foreign = folder / name
    foreign.parent.mkdir(exist_ok=True)
    foreign.mkdir() if name.endswith("/") else foreign.write_text("not charlm's")
    before = sorted(folder.rglob("*"))

    with pytest.raises(StorageError, match="was not written by charlm"):
        remove_checkpoint(folder)

    assert sorted(folder.rglob("*")) == before


def test_a_link_to_a_checkpoint_is_not_deleted(train, tmp_path):
    folder = train(steps=2)
    link = tmp_path / "link"
    link.symlink_to(folder)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(folder / "config.json")

    for each in (link, folder):
        with pytest.raises(StorageError):
            remove_checkpoint(each)

    assert link.is_symlink() and (folder / "config.json").exists()


def test_a_folder_without_a_configuration_of_charlm_is_not_deleted(train):
    folder = train(steps=2)
    (folder / "config.json").write_text("{}")
    before = sorted(folder.rglob("*"))

    with pytest.raises(StorageError, match=r"config\.json was not written by charlm"):
        remove_checkpoint(folder)

    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("name", ["state", "heldout"])
def test_a_link_to_a_folder_is_not_followed(train, tmp_path, name):
    folder = train(steps=2)
    (folder / name).rename(tmp_path / "other")
    (folder / name).symlink_to(tmp_path / "other")
    names = ("training.safetensors", "valid.txt.gz")
    for own in names:
        (tmp_path / "other" / f".{own}.{ENDED}.tmp").write_text("precious")

    remove_leftovers(folder)

    assert len(list((tmp_path / "other").glob(".*.tmp"))) == len(names)


def test_leftovers_of_every_file_are_removed(train):
    """Also where a number follows the process, as `make_temporary` appends one."""
    folder = train(steps=2)
    for file in FILES:
        (folder / file).with_name(f".{file.name}.{ENDED}.tmp").write_text("")
        (folder / file).with_name(f".{file.name}.{ENDED}-2.tmp").write_text("")

    remove_leftovers(folder)

    assert list(folder.rglob("*.tmp")) == []


@pytest.mark.parametrize("at", ["before", "while", "after"])
def test_a_checkpoint_killed_while_its_heldout_texts_are_written_is_removed(nursery, prepare, at):
    folder = nursery()
    for path in folder.iterdir():
        if path.name not in ("config.json", "heldout"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    first = folder / "heldout" / "valid.txt.gz"
    if at == "before":
        shutil.rmtree(first.parent)
    if at == "while":
        first.rename(first.with_name(f".valid.txt.gz.{ENDED}.tmp"))

    prepare("next")

    assert not folder.exists()


@pytest.mark.parametrize("name", ["state", "heldout", "tensorboard", "backward", "backward/state"])
def test_a_checkpoint_with_a_link_for_a_folder_is_not_trained_on(train, tmp_path, name):
    """A stranger's link would lead what training writes into another folder."""
    folder = train(steps=2)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "training.safetensors").write_text("precious")
    if (folder / name).exists():
        shutil.rmtree(folder / name)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).symlink_to(elsewhere)

    with pytest.raises(CheckpointError, match=f"{name} is a link"):
        resume_run(folder, torch.device("cpu"), Length(steps=9))

    assert (elsewhere / "training.safetensors").read_text() == "precious"
    (folder / name).unlink()
    refuse_linked_folders(folder)
