"""Temporary files of a process are in one folder, and gone when they are no longer needed."""

import os
import stat
import subprocess
import sys

import pytest

from charlm.errors import StorageError
from charlm.temporary import process_folder, temporary_file, temporary_folder


@pytest.fixture(autouse=True)
def own_temporaries(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_all_lie_in_one_folder_that_is_the_users_alone(tmp_path):
    with temporary_folder() as folder, temporary_file([b"a", b"bc"]) as file:
        assert folder.parent == process_folder()
        assert os.path.dirname(file.name) == str(process_folder())
        assert list(tmp_path.iterdir()) == [process_folder()]
        assert stat.S_IMODE(process_folder().stat().st_mode) == 0o700
        with open(file.name, "rb") as again:
            assert again.read() == b"abc"
        (folder / "more").touch()

    assert list(process_folder().iterdir()) == []


def test_they_go_with_their_block_when_it_fails():
    with pytest.raises(KeyError), temporary_folder() as folder:
        (folder / "text").touch()
        raise KeyError
    assert not folder.exists()


@pytest.mark.parametrize("ends", ["", "sys.exit(3)", "raise KeyError", "raise KeyboardInterrupt"])
def test_the_folder_goes_with_its_process_and_not_with_a_fork_of_it(tmp_path, ends):
    code = (
        "import os, sys, tempfile, charlm.temporary as t\n"
        "file = t.temporary_file([b'x'])\n"
        "folder = t.process_folder()\n"
        "pid = os.fork()\n"
        "if pid == 0: sys.exit()\n"
        "os.waitpid(pid, 0)\n"
        "print(folder, folder.exists())\n" + ends
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    folder, existed = done.stdout.split()
    assert folder.startswith(str(tmp_path)) and existed == "True", done
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kept", ["sys.kept = ", "", "class Kept: pass\nKept.itself = Kept\nKept.file = "]
)
def test_a_file_that_is_open_when_the_process_ends_is_no_error(tmp_path, kept):
    code = "import sys, charlm.temporary as t\n" + kept + "file = t.temporary_file([b'x'])\n"
    code += "import weakref, atexit\nsys.more = [t.temporary_file()]\n"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", ["close", "drop", "fail"])
def test_a_file_is_removed_once_it_is_closed_or_used_no_more(end):
    file = temporary_file([b"x"])
    assert len(list(process_folder().iterdir())) == 1

    if end == "close":
        file.close()
        file.close()
    elif end == "drop":
        del file
    else:
        with pytest.raises(KeyError), file:
            raise KeyError

    assert list(process_folder().iterdir()) == []


def test_a_file_that_was_removed_before_can_be_closed():
    file = temporary_file()
    os.unlink(file.name)

    file.close()

    assert file.closed


def test_a_fork_does_not_remove_a_file():
    file = temporary_file([b"x"])
    child = os.fork()
    if child == 0:
        file.close()
        os._exit(0)
    os.waitpid(child, 0)

    assert os.path.exists(file.name)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(StorageError, match=r"cannot write .*missing"):
        temporary_file()


def test_a_full_disk_is_one_line(monkeypatch):
    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("charlm.temporary.TemporaryFile.write", no_space)
    with pytest.raises(StorageError, match="the disk is full"):
        temporary_file([b"text"])
