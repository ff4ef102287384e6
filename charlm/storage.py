"""Atomic file writes: temporary file, fsync, rename. Also locks on folders."""

import errno
import fcntl
import os
import re
import stat
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

from charlm.errors import StorageError

TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<process>[1-9][0-9]{0,18})(-[0-9]+)?\.tmp")
MAX_LINKS = 40  # maximum number of symbolic links that Linux follows in one path

Made = TypeVar("Made")


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces `path` if the block succeeds, and is removed if not.

    Readers see either the old or the new content, never a part, even if the process is killed. The
    permissions of the old file are kept. Symbolic links are followed. A device, a pipe or an open
    file of a process, such as `/dev/stdout`, is written to directly.

    Raises:
        StorageError: the disk is full, the file is read-only, or the folder is missing or not
            writable.
    """
    with storage_errors(path):  # the name may be too long for a system call
        if path.is_symlink():
            path = follow_links(path)
        stream = open_stream(path)
        is_read_only = path.is_file() and not os.access(path, os.W_OK)
    if stream is not None:
        with storage_errors(path), stream as file:
            yield file
        return
    if is_read_only:
        raise StorageError(f"cannot write {path}: the file is read-only; choose another one.")
    with replacement(path) as file:
        with suppress(OSError):  # no old file, or a file system without permissions
            os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
        yield file


def follow_links(path: Path) -> Path:
    """Return the target of a symbolic link, but stop at a path of a process's open file.

    The target of such a path must not be replaced: the process would continue with the old file.
    """
    for _ in range(MAX_LINKS):  # links may form a cycle
        path = Path(os.path.realpath(path.parent), path.name)
        if not path.is_symlink() or is_open_file(path):
            break
        path = path.parent / path.readlink()
    return path


def is_open_file(path: Path) -> bool:
    """Return True if a path, in /proc or /dev/fd, may be that of a process's open file."""
    return path.is_relative_to("/proc") or path.is_relative_to("/dev/fd")


def open_stream(path: Path) -> BinaryIO | None:
    """Open a device, a pipe or an open file of a process for writing; None for other paths."""
    if is_open_file(path):
        if path.parent == Path(os.path.realpath("/dev/fd")) and path.name.isdecimal():
            return open(os.dup(int(path.name)), "wb")  # keeps its position and its content
        return path.open("ab")
    if path.exists() and not path.is_file() and not path.is_dir():
        return path.open("wb")
    return None


@contextmanager
def replacement(path: Path) -> Iterator[BinaryIO]:
    """Open a file that replaces `path` as in `atomic_file`, even if it is a link or a pipe.

    Internal files of charlm are written this way, so that a folder from an untrusted source cannot
    redirect a write outside of itself or block it.

    Raises:
        StorageError: the disk is full, or the folder is missing or not writable.
    """
    with storage_errors(path):
        temporary, new = make_temporary(path, lambda there: there.open("xb"))
    try:
        with storage_errors(path):
            with new as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
    finally:
        with suppress(OSError):  # it may be missing; other errors were reported above
            temporary.unlink()


def make_temporary(path: Path, make: Callable[[Path], Made]) -> tuple[Path, Made]:
    """Create a temporary file or folder next to `path`; return its path and the result of `make`.

    The name contains the process id, so that two processes can write the same file: the last one to
    rename it wins. A number is added if a killed process with the same id has left a file of that
    name.

    Args:
        path: the file or folder to be replaced.
        make: creates the temporary file or folder; raises FileExistsError if the name is taken.
    """
    first = f".{path.name}.{os.getpid()}"
    for number in count(1):
        temporary = path.with_name(f"{first}.tmp" if number == 1 else f"{first}-{number}.tmp")
        with suppress(FileExistsError):
            return temporary, make(temporary)
    raise AssertionError


def is_temporary(path: Path, *names: str) -> bool:
    """Return True if `path` is a temporary file of `make_temporary` for one of `names`."""
    match = TEMPORARY.fullmatch(path.name)
    return match is not None and match["name"] in names and is_regular(path)


def process_of(path: Path) -> int | None:
    """Return the process id in a name by `make_temporary`; None for other names."""
    match = TEMPORARY.fullmatch(path.name)
    return None if match is None else int(match["process"])


def is_regular(path: Path) -> bool:
    """Return True if `path` is a regular file: not a link, folder, pipe or device."""
    return path.is_file() and not path.is_symlink()


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replace `path` by `content` (a string as UTF-8) atomically; see `atomic_file`."""
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def replace_file(path: Path, content: bytes | str) -> None:
    """Replace `path` by `content` (a string as UTF-8) atomically; see `replacement`."""
    with replacement(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def make_folder(path: Path) -> None:
    """Create the folder `path` and its parents if they are missing.

    Raises:
        StorageError: the folder cannot be created.
    """
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def sync_folder(path: Path) -> None:
    """Flush the folder `path` to disk, so that renames in it survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FolderLock:
    """Exclusive advisory lock on a folder.

    It is acquired when the object is created, without waiting, and held until `release` or until
    the process ends for any reason.

        with FolderLock(folder):
            ...

    Raises:
        StorageError: another process holds the lock, or the folder cannot be opened or locked.
    """

    def __init__(self, folder: Path) -> None:
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise StorageError(f"cannot open {folder}: {error.strerror}.") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                why = f"{folder} is in use by another process; wait until it has finished."
            else:  # a file system without locks, or with none left
                why = f"cannot lock {folder}: {error.strerror}; move it to another file system."
            raise StorageError(why) from error
        self._close = weakref.finalize(self, os.close, descriptor)  # closing releases the lock

    def release(self) -> None:
        """Release the lock; further calls have no effect."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Convert an OSError in the block into a StorageError that names the file and the reason.

    Raises:
        StorageError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            why = "the disk is full; free some space and run it again"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            why = "the folder is not writable; choose another one"
        else:
            why = error.strerror or str(error)
        raise StorageError(f"cannot write {path}: {why}.") from error
