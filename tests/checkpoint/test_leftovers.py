import os
import subprocess
import sys

import pytest
import torch

from charlm.checkpoint import load_checkpoint, remove_leftovers
from charlm.storage import FolderLock

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
