"""Temporary files of this process: in one folder, which goes when the process ends in order.

A signal can end the process between the making of a temporary file and the line that would remove
it. The folder is therefore registered for removal before it is made, and all else is made in it.
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
    """Return the folder for temporary files of this process; it is made when first asked for.

    Raises:
        StorageError: it cannot be made.
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
    """Remove the folder, in the process that made it and not in a fork of it."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder of its own for as long as the block runs.

    Raises:
        StorageError: it cannot be made.
    """
    parent = process_folder()
    with storage_errors(parent):
        folder = tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True)
    with folder as name:
        yield Path(name)


class TemporaryFile(io.BufferedRandom):
    """A file that has a `name` and is removed when it is closed or used no more.

    At the end of the process its folder is removed, and with it the file; so a file that is closed
    later finds nothing to remove. Nor does a fork of the process remove it.
    """

    def __init__(self, file: io.FileIO) -> None:
        """Take the file that was made."""
        super().__init__(file)
        self._remove = weakref.finalize(self, remove_file, file.name, os.getpid())
        self._remove.atexit = False

    def close(self) -> None:
        """Close the file and remove it; the second call does nothing."""
        try:
            super().close()
        finally:
            self._remove()

    def __del__(self) -> None:
        with suppress(OSError):  # a full disk, of which a write has told
            self.close()


def remove_file(name: str, process: int) -> None:
    """Remove a file if it is there, in the process that made it."""
    if os.getpid() == process:
        with suppress(OSError):
            os.unlink(name)


def temporary_file(chunks: Iterable[bytes] = ()) -> TemporaryFile:
    """Return a file with that content, which has a `name` and is removed when it is closed.

    Raises:
        StorageError: it cannot be written.
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
