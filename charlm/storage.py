"""Files that are written whole or not at all: temporary file, fsync, rename."""

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
MAX_LINKS = 40  # that Linux follows for one path

Made = TypeVar("Made")


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends well, and vanishes if not.

    A reader, or a process killed at any instant, sees the old content or the new, never a part.
    The permissions stay those of the old file. A link is followed. A device, a pipe or an open file
    of a process, such as `/dev/stdout`, stays what it is and is written to.

    Raises:
        StorageError: the disk is full, the file is read-only, or the folder is missing or not
            writable.
    """
    with storage_errors(path):  # a name can be too long to be asked for
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
    """Return where a link leads, as far as a name of a process's open file.

    What such a name leads to must not be replaced: the process would go on with the old file.
    """
    for _ in range(MAX_LINKS):  # a circle has no end
        path = Path(os.path.realpath(path.parent), path.name)
        if not path.is_symlink() or is_open_file(path):
            break
        path = path.parent / path.readlink()
    return path


def is_open_file(path: Path) -> bool:
    """Whether a path is the name of an open file of some process."""
    return path.is_relative_to("/proc") or path.is_relative_to("/dev/fd")


def open_stream(path: Path) -> BinaryIO | None:
    """Open a device, a pipe or an open file of a process for writing; None: it is none of these."""
    if is_open_file(path):
        if path.parent == Path(os.path.realpath("/dev/fd")) and path.name.isdecimal():
            return open(os.dup(int(path.name)), "wb")  # at its position, without emptying it
        return path.open("ab")
    if path.exists() and not path.is_file() and not path.is_dir():
        return path.open("wb")
    return None


@contextmanager
def replacement(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of whatever stands at `path`, as `atomic_file` does.

    Files that charlm keeps for itself are written this way: a link or a pipe is replaced, so that
    a folder from elsewhere can neither lead a write out of itself nor make it wait.

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
        with suppress(OSError):  # it may not be there; what matters has been said
            temporary.unlink()


def make_temporary(path: Path, make: Callable[[Path], Made]) -> tuple[Path, Made]:
    """Make a file or folder beside `path` under a name that is not taken, and what `make` returned.

    The process id keeps two runs apart that write the same file: the last one to rename it wins. A
    number follows it if a killed process of the same id has left a file of that name.
    """
    first = f".{path.name}.{os.getpid()}"
    for number in count(1):
        temporary = path.with_name(f"{first}.tmp" if number == 1 else f"{first}-{number}.tmp")
        with suppress(FileExistsError):
            return temporary, make(temporary)
    raise AssertionError


def is_temporary(path: Path, *names: str) -> bool:
    """Whether `path` is a file that `make_temporary` named, to replace a file of one of `names`."""
    match = TEMPORARY.fullmatch(path.name)
    return match is not None and match["name"] in names and is_regular(path)


def process_of(path: Path) -> int | None:
    """Return the id of the process that made a file or folder of this name; None: not its name."""
    match = TEMPORARY.fullmatch(path.name)
    return None if match is None else int(match["process"])


def is_regular(path: Path) -> bool:
    """Whether it is a regular file: no link, no folder, no pipe and no device."""
    return path.is_file() and not path.is_symlink()


def write_atomically(path: Path, content: bytes | str) -> None:
    """Replace `path` by `content` (text as UTF-8) in one step, as `atomic_file` does."""
    with atomic_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def replace_file(path: Path, content: bytes | str) -> None:
    """Replace whatever stands at `path` by `content` in one step, as `replacement` does."""
    with replacement(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def make_folder(path: Path) -> None:
    """Create `path` and its parents where they are missing.

    Raises:
        StorageError: the folder cannot be made.
    """
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def sync_folder(path: Path) -> None:
    """Make renames inside `path` survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class FolderLock:
    """Exclusive use of a folder among the processes that ask for it.

    Taken at once and held until `release`, or until the process ends, however it ends.

        with FolderLock(folder):
            ...

    Raises:
        StorageError: another process has the folder, or it cannot be opened or locked.
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
            else:  # a file system without locks, or one that has no more of them
                why = f"cannot lock {folder}: {error.strerror}; move it to another file system."
            raise StorageError(why) from error
        self._close = weakref.finalize(self, os.close, descriptor)  # which gives the lock back

    def release(self) -> None:
        """Let others have the folder; the second call does nothing."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Say which file could not be written and why, where the system says only a number.

    Raises:
        StorageError: an OSError came from the block.
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
