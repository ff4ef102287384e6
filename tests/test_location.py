import os
import shlex
from pathlib import Path

import pytest

from charlm.data.sources import COMPRESSIONS
from charlm.errors import CheckpointError
from charlm.location import (
    COMPRESSED,
    base_name,
    command_line,
    find_checkpoint,
    is_checkpoint_name,
    is_text_name,
    list_checkpoints,
    new_name,
)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def make_checkpoint(name, age):
    folder = Path("checkpoints", name)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_text("")
    os.utime(folder / "model.safetensors", (1_000_000 - age, 1_000_000 - age))
    return folder


def test_the_newest_checkpoint_is_the_default():
    make_checkpoint("old", age=10)
    new = make_checkpoint("new", age=1)
    make_checkpoint("older", age=20)

    assert find_checkpoint() == new
    assert [path.name for path in list_checkpoints()] == ["new", "old", "older"]


def test_a_checkpoint_is_found_by_path_and_by_name():
    folder = make_checkpoint("tales", age=0)

    assert find_checkpoint(folder) == find_checkpoint(Path("tales")) == folder
    assert is_checkpoint_name("tales") and not is_checkpoint_name("other")
    assert not is_checkpoint_name("x" * 5000) and not is_text_name("x" * 5000)


def test_a_checkpoint_that_was_never_finished_making_is_none():
    make_checkpoint(".tales.123.tmp", age=0)

    assert list_checkpoints() == []


def test_without_any_checkpoint_the_error_says_how_to_make_one():
    with pytest.raises(CheckpointError, match="charlm train"):
        find_checkpoint()


def test_an_unknown_name_and_another_folder_are_errors(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint other"):
        find_checkpoint(Path("other"))
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        find_checkpoint(tmp_path)


def test_new_names_never_take_one_that_exists():
    names = []
    for _ in range(3):
        names.append(new_name("corpora/tales.txt").name)
        make_checkpoint(names[-1], age=0)

    assert names == ["tales", "tales-2", "tales-3"]


@pytest.mark.parametrize(
    ("corpus", "name"),
    [
        ("a/tales.txt.gz", "tales"),
        ("-", "stdin"),
        ("s3://b/c.txt", "c"),
        ("https://host/c.txt.gz?raw=1#top", "c"),
        (".txt", "model"),
        ("Dr. Jekyll.txt", "Dr. Jekyll"),
        ("Dr. Jekyll.TXT.GZ", "Dr. Jekyll"),
        ("v1.5", "v1.5"),
        ("wiki.train.tokens", "wiki.train"),
        ("tales.v2.jsonl.zst", "tales.v2"),
        ("etc..txt", "etc"),
        (".hidden.txt", "hidden"),
        ("letters/", "letters"),
        ("...", "model"),
    ],
)
def test_a_run_is_named_after_its_corpus(corpus, name):
    assert base_name(corpus) == name


def test_the_folder_of_the_user_gives_its_own_name(tmp_path, monkeypatch):
    (tmp_path / "letters" / "old").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "letters" / "old")

    assert base_name(".") == "old"
    assert base_name("..") == "letters"


def test_all_kinds_of_compression_are_left_out_of_names():
    assert {*COMPRESSIONS, ".zst"} == {*COMPRESSED}


@pytest.mark.parametrize("name", ["tales", "Dr. Jekyll", "it's", "$(id)", "a`b`", "-o", "naïve"])
def test_a_command_to_copy_is_what_the_shell_reads(name):
    command = command_line("train", "--resume", "-o", Path("checkpoints", name))

    assert shlex.split(command) == ["charlm", "train", "--resume", "-o", f"checkpoints/{name}"]


def test_a_checkpoint_is_as_new_as_its_weights_or_its_training_state():
    """A run made longer has not found better weights yet, and is the one that was last trained."""
    longer, other = make_checkpoint("longer", age=20), make_checkpoint("other", age=10)
    (longer / "state").mkdir()
    state = longer / "state" / "training.safetensors"
    state.write_text("")
    os.utime(state, (1_000_000, 1_000_000))

    assert list_checkpoints() == [longer, other]
    state.unlink()
    assert list_checkpoints() == [other, longer]


def test_a_checkpoint_that_is_being_deleted_does_not_hide_others():
    kept = make_checkpoint("kept", age=10)
    gone = Path("checkpoints", "gone")
    (gone / "state").mkdir(parents=True)
    (gone / "model.safetensors").symlink_to("nothing")
    (gone / "state" / "training.safetensors").symlink_to("nothing")

    assert list_checkpoints() == [kept]
