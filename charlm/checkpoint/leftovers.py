"""What killed processes left behind, deleted only where it is known to be charlm's own.

.FILE.PID.tmp      a file that was being written, in a checkpoint
.NAME.PID.tmp/     a checkpoint that was being made, beside where it would have been

PID is the process, which must have ended. A checkpoint being made is also locked by its process,
and what is in it must be what `create_checkpoint` writes: config.json with its seal, and files of
a checkpoint's names.
"""

import os
import re
from contextlib import suppress
from pathlib import Path

from charlm.checkpoint.config_file import read_config
from charlm.errors import CheckpointError, StorageError
from charlm.location import (
    ADAPTATION,
    CARD,
    CONFIG,
    FREQUENCIES,
    GRADIENTS,
    LEVEL_STATE,
    METRICS,
    RECIPE,
    STATE,
    TOKENIZER,
    WEIGHTS,
)
from charlm.storage import FolderLock

FILES = frozenset(
    (
        ADAPTATION,
        CARD,
        CONFIG,
        FREQUENCIES,
        GRADIENTS,
        LEVEL_STATE,
        METRICS,
        RECIPE,
        STATE,
        TOKENIZER,
        WEIGHTS,
    )
)
TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<process>[1-9]\d{0,18})\.tmp")


def remove_leftovers(folder: Path) -> None:
    """Delete what killed processes left in a checkpoint that this process has locked."""
    for place in (folder, folder / STATE.parent):
        for path in place.glob(".*.tmp"):
            if not path.is_dir() and is_leftover_file(path, folder):
                with suppress(OSError):
                    path.unlink()
    sweep_nurseries(folder)  # of a backward half


def sweep_nurseries(parent: Path) -> None:
    """Delete checkpoints in `parent` that processes were killed over while they made them."""
    for nursery in parent.glob(".*.tmp"):
        found = TEMPORARY.fullmatch(nursery.name)
        if found is None or nursery.is_symlink() or not nursery.is_dir():
            continue
        if is_running(int(found["process"])):
            continue
        with suppress(OSError, StorageError), FolderLock(nursery):
            discard_checkpoint(nursery)


def discard_checkpoint(nursery: Path) -> None:
    """Delete an unfinished checkpoint, unless something in it may be someone else's.

    Raises:
        OSError: it cannot be deleted, or not all of it.
    """
    entries = list(nursery.rglob("*"))
    folders = [path for path in entries if path.is_dir() and not path.is_symlink()]
    files = [path for path in entries if path not in folders]
    if any(path != nursery / STATE.parent for path in folders):
        return
    if not all(is_checkpoint_file(path, nursery) for path in files):
        return
    if files and not is_own(nursery, files):
        return
    for path in files:
        path.unlink()
    for path in folders:
        path.rmdir()
    nursery.rmdir()


def is_own(nursery: Path, files: list[Path]) -> bool:
    """Return whether charlm began this checkpoint: its first file is there, whole or in part."""
    if (nursery / CONFIG).is_file():
        try:
            read_config(nursery / CONFIG)
        except CheckpointError:
            return False
        return True
    found = TEMPORARY.fullmatch(nursery.name)
    if found is None:
        return False
    return [path.name for path in files] == [f".{CONFIG}.{found['process']}.tmp"]


def is_checkpoint_file(path: Path, folder: Path) -> bool:
    """Return whether a file has the place of one of a checkpoint's, or of one being written."""
    if path.is_symlink() or not path.is_file():
        return False
    found = TEMPORARY.fullmatch(path.name)
    name = path.name if found is None else found["name"]
    return path.relative_to(folder).with_name(name) in FILES


def is_leftover_file(path: Path, folder: Path) -> bool:
    """Return whether a temporary file of a checkpoint was left by a process that has ended."""
    found = TEMPORARY.fullmatch(path.name)
    if found is None or not is_checkpoint_file(path, folder):
        return False
    return not is_running(int(found["process"]))


def is_running(process: int) -> bool:
    """Return whether another process of that id exists on this machine.

    This process has no files half-written when it asks; one of its own id had the id before.
    """
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True
