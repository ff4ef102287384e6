import errno
import os
import stat
import subprocess
from pathlib import Path

import pytest

from charlm.errors import StorageError
from charlm.storage import (
    FolderLock,
    atomic_file,
    is_temporary,
    make_folder,
    process_of,
    replace_file,
    storage_errors,
    write_atomically,
)


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "old")

    write_atomically(path, b"new")

    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "old")

    with atomic_file(path) as file:
        file.write(b"new")
        file.flush()
        seen = path.read_text()

    assert seen == "old"
    assert path.read_text() == "new"


def test_an_error_half_way_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "old")

    with pytest.raises(RuntimeError), atomic_file(path) as file:
        file.write(b"half")
        raise RuntimeError

    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("there", [True, False], ids=["there", "not there yet"])
def test_a_link_is_followed(tmp_path, there):
    (tmp_path / "folder").mkdir()
    real, link = tmp_path / "folder" / "real", tmp_path / "link"
    (tmp_path / "second").symlink_to(Path("folder") / "real")
    link.symlink_to("second")
    if there:
        write_atomically(real, "old")

    write_atomically(link, "new")

    assert real.read_text() == "new"
    assert link.is_symlink() and not real.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "second"]
    assert os.listdir(tmp_path / "folder") == ["real"]


@pytest.mark.parametrize("linked", [False, True])
def test_a_named_pipe_is_written_to_and_stays(tmp_path, linked):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("pipe")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    write_atomically(link if linked else pipe, "said")

    assert os.read(reader, 9) == b"said"
    os.close(reader)
    assert pipe.is_fifo() and link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe"]


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_in_place_of_charlms_own_file_is_replaced(tmp_path, dangling):
    other, path = tmp_path / "other", tmp_path / "file"
    path.symlink_to("other")
    if not dangling:
        other.write_text("mine")

    replace_file(path, "new")

    assert path.read_text() == "new" and not path.is_symlink()
    assert not other.exists() if dangling else other.read_text() == "mine"


def test_a_pipe_in_place_of_charlms_own_file_is_replaced(tmp_path):
    os.mkfifo(tmp_path / "file")

    replace_file(tmp_path / "file", b"new")  # nobody reads the pipe: writing to it would wait

    assert (tmp_path / "file").is_file()
    assert os.listdir(tmp_path) == ["file"]


def test_a_pipe_of_the_shell_is_written_to():
    """As `>(gzip)` is, and /dev/stdout before a pipe."""
    reader, writer = os.pipe()

    write_atomically(Path(f"/dev/fd/{writer}"), "said")

    os.close(writer)
    assert os.read(reader, 9) == b"said"
    os.close(reader)


@pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}", "{}/link"])
@pytest.mark.parametrize("mode", ["ab", "wb"])
def test_a_file_behind_an_open_file_is_written_to_and_not_replaced(tmp_path, name, mode):
    """As by `-o /dev/stdout >> log`."""
    log = tmp_path / "log"
    log.write_text("before\n" * (mode == "ab"))
    with log.open(mode) as file:
        (tmp_path / "link").symlink_to(f"/dev/fd/{file.fileno()}")

        write_atomically(Path(name.format(tmp_path if "link" in name else file.fileno())), "new\n")
        file.write(b"after\n")

    assert log.read_text() == "before\n" * (mode == "ab") + "new\nafter\n"
    assert sorted(os.listdir(tmp_path)) == ["link", "log"]


def test_a_file_that_another_process_has_open_is_appended_to(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    number = log.stat().st_ino
    with (
        log.open("ab") as file,
        subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=file) as cat,
    ):
        write_atomically(Path(f"/proc/{cat.pid}/fd/1"), "new\n")
        cat.communicate()

    assert log.read_text() == "before\nnew\n" and log.stat().st_ino == number


def test_links_in_a_circle_end(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")

    write_atomically(tmp_path / "a", "new")

    assert "new" in [path.read_text() for path in tmp_path.iterdir() if not path.is_symlink()]


def test_a_pipe_without_a_reader_is_an_error_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    with pytest.raises(StorageError, match=r"cannot write .*pipe"), atomic_file(pipe) as file:
        os.close(reader)
        file.write(b"said")
        file.flush()

    assert pipe.is_fifo()


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.ENOSPC, "disk is full"), (errno.EACCES, "not writable"), (errno.EIO, "cannot write")],
)
def test_a_failed_write_says_which_file_and_why(tmp_path, number, said):
    with (
        pytest.raises(StorageError, match=f"{tmp_path}.*{said}|{said}.*{tmp_path}"),
        storage_errors(tmp_path),
    ):
        raise OSError(number, os.strerror(number))


def test_a_name_that_is_too_long_is_an_error(tmp_path):
    with pytest.raises(StorageError, match="File name too long"):
        write_atomically(tmp_path / ("x" * 300), "")


def test_a_file_where_a_folder_should_be_is_an_error(tmp_path):
    (tmp_path / "taken").write_text("")

    with pytest.raises(StorageError, match="taken"):
        make_folder(tmp_path / "taken")


def test_new_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")

    write_atomically(tmp_path / "file", "")

    assert (tmp_path / "file").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
@pytest.mark.parametrize("linked", [False, True])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path, mode, linked):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("old")
    path.chmod(mode)
    link.symlink_to("file")

    with atomic_file(link if linked else path) as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == mode
        file.write(b"new")

    assert path.read_text() == "new" and stat.S_IMODE(path.stat().st_mode) == mode


def test_a_read_only_file_is_not_replaced(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o444)
    monkeypatch.setattr("os.access", lambda path, _: os.stat(path).st_mode & 0o200)  # also as root

    with pytest.raises(StorageError, match="file: the file is read-only"):
        write_atomically(path, "new")

    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_a_temporary_file_that_exists_is_neither_written_to_nor_removed(tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("not charlm's")
    taken = [tmp_path / f".file.{os.getpid()}{more}.tmp" for more in ("", "-2")]
    taken[0].write_text("not charlm's")
    taken[1].symlink_to(outside)

    write_atomically(tmp_path / "file", "new")

    assert (tmp_path / "file").read_text() == "new"
    assert all(path.read_text() == "not charlm's" for path in [*taken, outside])
    assert sorted(tmp_path.iterdir()) == sorted([*taken, outside, tmp_path / "file"])


@pytest.mark.parametrize(
    ("name", "own"),
    [
        (".file.12.tmp", True),
        (".file.12-2.tmp", True),
        (".file.tmp", False),
        (".file.x.tmp", False),
        (".file.0.tmp", False),
        (".file.12.tmp.gz", False),
        (".other.12.tmp", False),
        ("file.12.tmp", False),
    ],
)
def test_temporary_files_are_recognised_by_their_whole_name(tmp_path, name, own):
    (tmp_path / name).write_text("")

    assert is_temporary(tmp_path / name, "file") is own


def test_the_process_that_made_a_temporary_file_is_told_by_its_name():
    assert [process_of(Path(f".a.b.{end}")) for end in ("12.tmp", "12-3.tmp")] == [12, 12]
    assert process_of(Path(".a.b.tmp")) is None


def test_a_locked_folder_is_refused_until_it_is_released(tmp_path):
    lock = FolderLock(tmp_path)
    with pytest.raises(StorageError, match="in use by another process"):
        FolderLock(tmp_path)

    lock.release()
    lock.release()  # does nothing

    with FolderLock(tmp_path), pytest.raises(StorageError):
        FolderLock(tmp_path)
    FolderLock(tmp_path).release()


def test_a_lock_that_nobody_holds_any_more_is_gone(tmp_path):
    lock = FolderLock(tmp_path)
    del lock

    FolderLock(tmp_path).release()


def test_a_folder_that_is_not_there_cannot_be_locked(tmp_path):
    (tmp_path / "file").write_text("")

    for name in ("missing", "file"):
        with pytest.raises(StorageError, match="cannot open"):
            FolderLock(tmp_path / name)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_folder_that_cannot_be_locked_is_closed_again(tmp_path, monkeypatch, number):
    def fail(descriptor, _):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", fail)
    before = os.listdir("/proc/self/fd")

    with pytest.raises(StorageError, match=r"cannot lock .*; move it to another file system"):
        FolderLock(tmp_path)

    assert len(os.listdir("/proc/self/fd")) == len(before)
