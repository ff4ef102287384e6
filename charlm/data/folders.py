"""Folders as corpora: the text files in a folder, sorted by name."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from charlm.data.sources import COMPRESSIONS, read_errors
from charlm.errors import TextError
from charlm.location import is_whole_checkpoint
from charlm.untrusted import open_regular

HEAD_BYTES = 8192  # searched for NUL bytes, which no text has
MAX_NAMED = 3  # file names listed in a note


@dataclass(frozen=True, slots=True)
class TextFiles:
    """Paths of texts, and notes for the user about files that were left out."""

    paths: tuple[str, ...]
    notes: tuple[str, ...]


def expand_folders(paths: Iterable[str]) -> TextFiles:
    """Replace each folder by the text files in it, sorted by name.

    Hidden files, subfolders, empty files and files that are not text are left out. A file with a
    NUL byte in its first 8192 bytes is not text.

    Raises:
        TextError: a folder has no text files, is a checkpoint, or cannot be read.
    """
    found: list[str] = []
    notes: list[str] = []
    for path in paths:
        if "://" in path or not Path(path).is_dir():
            found.append(path)
            continue
        files = list_folder(Path(path))
        found += files.paths
        notes += files.notes
    return TextFiles(tuple(found), tuple(notes))


def list_folder(folder: Path) -> TextFiles:
    """Return the text files in a folder.

    Raises:
        TextError: the folder has no text files, is a checkpoint, or cannot be read.
    """
    check_no_checkpoint(folder)
    with read_errors(str(folder)):
        visible = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
        files = [each for each in visible if each.is_file()]
        folders = [each for each in visible if each.is_dir()]
        empty: list[Path] = []
        others: list[Path] = []
        texts: list[Path] = []
        for file in files:
            kind = empty if not file.stat().st_size else texts if is_text(file) else others
            kind.append(file)
    if not texts and folders:
        raise TextError(
            f"{folder} holds no text files, but folders; name one of them, or train with "
            "--label to learn their names as labels."
        )
    if not texts:
        raise TextError(f"{folder} holds no text files; name a file, or a folder with texts in it.")
    notes = []
    left_out = {
        "empty files": empty,
        "what is not text (NUL bytes)": others,
        "the folders in it": folders,
    }
    for what, paths in left_out.items():
        if paths:
            notes.append(f"{folder}: left out {what}: {some(path.name for path in paths)}.")
    return TextFiles(tuple(map(str, texts)), tuple(notes))


def check_no_checkpoint(folder: Path) -> None:
    """Check that a folder is not a checkpoint, whose files are not texts.

    Raises:
        TextError: the folder is a checkpoint.
    """
    if is_whole_checkpoint(folder):
        raise TextError(
            f"{folder} is a checkpoint and not a folder of texts; where a command takes both, name "
            "the checkpoint first."
        )


def is_text(file: Path) -> bool:
    """Return whether a file may be text: it is compressed, or its beginning has no NUL bytes."""
    if PurePath(file).suffix in (*COMPRESSIONS, ".zst"):
        return True
    with open_regular(file) as content:
        return b"\0" not in content.read(HEAD_BYTES)


def some(names: Iterable[str]) -> str:
    """Return the first three names, and the number of the others."""
    names = list(names)
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
