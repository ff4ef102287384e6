"""Removal of files left by killed processes, and of checkpoints; only charlm's own are deleted.

.FILE.PID.tmp      an unfinished file in a checkpoint
.NAME.PID.tmp/     an unfinished checkpoint, in the folder where NAME would have been created

PID is the id of a process that must have ended; a number may follow it, see `make_temporary`. An
unfinished checkpoint is also locked by its process, and may contain only what charlm writes: a
config.json with a valid checksum, and files with the names of a checkpoint's files. Links are never
followed.
"""

import os
from contextlib import suppress
from pathlib import Path

from charlm.checkpoint.config_file import read_config
from charlm.errors import CheckpointError, StorageError
from charlm.location import BACKWARD, CONFIG, EVENTS, FILES
from charlm.storage import FolderLock, is_regular, is_temporary, process_of, storage_errors


def remove_leftovers(folder: Path) -> None:
    """Delete the files that killed processes left in a checkpoint.

    The checkpoint must be locked by this process. Files that cannot be deleted are left.
    """
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
    """Check that no folder in a checkpoint is a link, because training would write elsewhere.

    Raises:
        CheckpointError: a folder in the checkpoint is a link.
    """
    for inside in (*own_names(), EVENTS, BACKWARD):
        place = folder / inside
        if place != folder and place.is_symlink():
            raise CheckpointError(
                f"{place} is a link, and training would write where it leads; put the folder "
                "itself in its place."
            )


def sweep_nurseries(parent: Path) -> None:
    """Delete unfinished checkpoints in `parent` whose processes were killed."""
    for nursery in parent.glob(".*.tmp"):
        process = process_of(nursery)
        if process is None or is_running(process) or nursery.is_symlink() or not nursery.is_dir():
            continue
        with suppress(OSError, StorageError), FolderLock(nursery):
            remove_checkpoint(nursery)


def remove_checkpoint(folder: Path) -> None:
    """Delete a checkpoint, complete or unfinished.

    Nothing is deleted if the folder contains anything that charlm did not write.

    Raises:
        StorageError: the folder is a link, contains foreign files, or cannot be deleted.
    """
    if folder.is_symlink():
        raise StorageError(f"{folder} is a link, which charlm does not make; remove the link.")
    with storage_errors(folder):
        found = sorted(folder.rglob("*"), reverse=True)  # contents of a folder before the folder
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
    """Return the error for a folder that contains a file charlm did not write."""
    return StorageError(
        f"{path} was not written by charlm, so {folder} is not deleted to be made again; "
        "move it to another folder."
    )


def is_begun(folder: Path, found: list[Path]) -> bool:
    """Return whether charlm created this checkpoint.

    This is so if config.json is valid, or if the folder is a temporary one that contains only the
    unfinished config.json of the same process.
    """
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
    """Return whether charlm creates such a file or folder at `place` in a checkpoint.

    `path` is the file or folder itself, and `place` its path relative to the checkpoint.
    """
    names = own_names()
    if place in names or place == EVENTS:
        return path.is_dir() and not path.is_symlink()
    if place.parent == EVENTS:
        return is_regular(path) and path.name.startswith("events.out.tfevents.")
    own = names.get(place.parent, [])
    return (path.name in own and is_regular(path)) or is_temporary(path, *own)


def own_names() -> dict[Path, list[str]]:
    """Return the names of the files that charlm writes into a checkpoint, by relative folder."""
    names: dict[Path, list[str]] = {}
    for path in FILES:
        names.setdefault(path.parent, []).append(path.name)
    return names


def is_running(process: int | None) -> bool:
    """Return whether another process with this id exists on this machine.

    The id of this process counts as not running. This process has no unfinished files when it
    calls this function, so files with its id were left by an earlier process with the same id.
    """
    if process is None or process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # a process of another user
        return True
    return True
