import errno
import os

import pytest

from charlm.errors import StorageError
from charlm.storage import atomic_file, make_folder, storage_errors, write_atomically


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


def test_a_file_where_a_folder_should_be_is_an_error(tmp_path):
    (tmp_path / "taken").write_text("")

    with pytest.raises(StorageError, match="taken"):
        make_folder(tmp_path / "taken")


def test_new_files_have_the_usual_permissions(tmp_path):
    (tmp_path / "usual").write_text("")

    write_atomically(tmp_path / "file", "")

    assert (tmp_path / "file").stat().st_mode == (tmp_path / "usual").stat().st_mode
