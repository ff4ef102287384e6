"""Temporary files of this process: in one folder, which goes when the process ends in order.

A signal can end the process between the making of a temporary file and the line that would remove
it. The folder is therefore registered for removal before it is made, and all else is made in it.
"""

import atexit
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

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


def temporary_file(chunks: Iterable[bytes] = ()) -> IO[bytes]:
    """Return a file with that content, which has a `name` and is removed when it is closed.

    Raises:
        StorageError: it cannot be written.
    """
    parent = process_folder()
    with storage_errors(parent):
        file = tempfile.NamedTemporaryFile(dir=parent)  # noqa: SIM115
    for chunk in chunks:
        with storage_errors(parent):
            file.write(chunk)
    with storage_errors(parent):
        file.flush()
    return file
