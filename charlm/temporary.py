"""Temporary files, in one folder per process that is removed at exit.

A signal can end the process between the creation of a temporary file and the line that removes it.
The folder is therefore registered for removal before it is created, and contains all other
temporary files.
"""

import atexit
import io
import os
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from charlm.storage import storage_errors

PREFIX = "charlm-"
_folder: Path | None = None


def process_folder() -> Path:
    """Return the folder for temporary files of this process, created on the first call.

    Raises:
        StorageError: the folder cannot be created.
    """
    global _folder
    with storage_errors(Path("a temporary file")):
        parent = Path(tempfile.gettempdir())
    if _folder is None or _folder.parent != parent or not _folder.is_dir():
        _folder = parent / f"{PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
        atexit.register(remove_folder, _folder, os.getpid())
        with storage_errors(_folder):
            _folder.mkdir(mode=0o700)
    return _folder


def remove_folder(folder: Path, process: int) -> None:
    """Remove the folder if this is the process that created it, not a fork of it."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a new temporary folder, which is removed when the block ends.

    Raises:
        StorageError: the folder cannot be created.
    """
    parent = process_folder()
    with storage_errors(parent):
        folder = tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True)
    with folder as name:
        yield Path(name)


class TemporaryFile(io.BufferedRandom):
    """Temporary file with a `name`, removed when it is closed or garbage-collected.

    At the end of the process the file is removed with its folder; a close after that does not fail.
    A fork of the process does not remove the file.
    """

    def __init__(self, file: io.FileIO) -> None:
        """Wrap a file that was created in the folder of this process."""
        super().__init__(file)
        self._remove = weakref.finalize(self, remove_file, file.name, os.getpid())
        self._remove.atexit = False

    def close(self) -> None:
        """Close and remove the file; further calls have no effect."""
        try:
            super().close()
        finally:
            self._remove()

    def __del__(self) -> None:
        with suppress(OSError):  # a full disk, which an earlier write has reported
            self.close()


def remove_file(name: str, process: int) -> None:
    """Remove a file if it exists and this is the process that created it."""
    if os.getpid() == process:
        with suppress(OSError):
            os.unlink(name)


def temporary_file(chunks: Iterable[bytes] = ()) -> TemporaryFile:
    """Return a temporary file with the given content.

    Raises:
        StorageError: the file cannot be written.
    """
    parent = process_folder()
    with storage_errors(parent):
        file = TemporaryFile(io.FileIO(str(parent / secrets.token_hex(8)), "x+"))
    for chunk in chunks:
        with storage_errors(parent):
            file.write(chunk)
    with storage_errors(parent):
        file.flush()
    return file
