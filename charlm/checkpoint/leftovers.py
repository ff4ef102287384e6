"""What killed processes left behind, deleted only where it is known to be charlm's own.

.FILE.PID.tmp      a file that was being written, in a checkpoint
.NAME.PID.tmp/     a checkpoint that was being made, beside where it would have been

PID is the process, which must have ended; a number may follow it: see `make_temporary`. A
checkpoint being made is also locked by its process, and what is in it must be what charlm writes:
config.json with its seal, and files of a checkpoint's names. Links are never followed.
"""

import os
from contextlib import suppress
from pathlib import Path

from charlm.checkpoint.config_file import read_config
from charlm.errors import CheckpointError, StorageError
from charlm.location import BACKWARD, CONFIG, EVENTS, FILES
from charlm.storage import FolderLock, is_regular, is_temporary, process_of, storage_errors


def remove_leftovers(folder: Path) -> None:
    """Delete what killed processes left in a checkpoint that this process has locked."""
    for inside, names in own_names().items():
        place = folder / inside
        if place != folder and place.is_symlink():
            continue
        for path in place.glob(".*.tmp"):
            if is_temporary(path, *names) and not is_running(process_of(path)):
                with suppress(OSError):
                    path.unlink()
    sweep_nurseries(folder)  # of a backward half


def refuse_linked_folders(folder: Path) -> None:
    """Refuse a checkpoint whose folders are links: what is written into them would be elsewhere.

    Raises:
        CheckpointError: one is.
    """
    for inside in (*own_names(), EVENTS, BACKWARD):
        place = folder / inside
        if place != folder and place.is_symlink():
            raise CheckpointError(
                f"{place} is a link, and training would write where it leads; put the folder "
                "itself in its place."
            )


def sweep_nurseries(parent: Path) -> None:
    """Delete checkpoints in `parent` that processes were killed over while they made them."""
    for nursery in parent.glob(".*.tmp"):
        process = process_of(nursery)
        if process is None or is_running(process) or nursery.is_symlink() or not nursery.is_dir():
            continue
        with suppress(OSError, StorageError), FolderLock(nursery):
            remove_checkpoint(nursery)


def remove_checkpoint(folder: Path) -> None:
    """Delete a checkpoint, whole or unfinished; one that holds anything else stays as it is.

    Raises:
        StorageError: it holds what charlm did not write, or cannot be deleted.
    """
    if folder.is_symlink():
        raise StorageError(f"{folder} is a link, which charlm does not make; remove the link.")
    with storage_errors(folder):
        found = sorted(folder.rglob("*"), reverse=True)  # what is in a folder before the folder
    for path in found:
        if not is_own(path, path.relative_to(folder)):
            raise foreign(path, folder)
    if found and not is_begun(folder, found):
        begun = folder / CONFIG
        raise foreign(begun if begun.exists() else found[-1], folder)
    with storage_errors(folder):
        for path in found:
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()


def foreign(path: Path, folder: Path) -> StorageError:
    """The error for a folder with something in it that may be someone else's."""
    return StorageError(
        f"{path} was not written by charlm, so {folder} is not deleted to be made again; "
        "move it to another folder."
    )


def is_begun(folder: Path, found: list[Path]) -> bool:
    """Return whether charlm began this checkpoint: its first file is there, whole or in part."""
    if (folder / CONFIG).exists():
        try:
            read_config(folder / CONFIG)
        except CheckpointError:
            return False
        return True
    process = process_of(folder)
    begun = [process_of(path) for path in found if is_temporary(path, CONFIG.name)]
    return process is not None and begun == [process] and len(found) == 1


def is_own(path: Path, place: Path) -> bool:
    """Return whether charlm makes a file or folder like `path` at `place` in a checkpoint."""
    names = own_names()
    if place in names or place == EVENTS:
        return path.is_dir() and not path.is_symlink()
    if place.parent == EVENTS:
        return is_regular(path) and path.name.startswith("events.out.tfevents.")
    own = names.get(place.parent, [])
    return (path.name in own and is_regular(path)) or is_temporary(path, *own)


def own_names() -> dict[Path, list[str]]:
    """The names of the files that charlm writes into a checkpoint, by the folder they are in."""
    names: dict[Path, list[str]] = {}
    for path in FILES:
        names.setdefault(path.parent, []).append(path.name)
    return names


def is_running(process: int | None) -> bool:
    """Return whether another process of that id exists on this machine.

    This process has no files half-written when it asks; one of its own id had the id before.
    """
    if process is None or process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True
