"""Folders as corpora: the text files in one, by name."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from charlm.data.sources import COMPRESSIONS, read_errors
from charlm.errors import TextError
from charlm.location import is_whole_checkpoint
from charlm.untrusted import open_regular

HEAD_BYTES = 8192  # are looked at for NUL, which no text has
MAX_NAMED = 3  # files in a note


@dataclass(frozen=True, slots=True)
class TextFiles:
    """The names of texts, and what a user should be told of those that were left out."""

    paths: tuple[str, ...]
    notes: tuple[str, ...]


def expand_folders(paths: Iterable[str]) -> TextFiles:
    """Replace each folder by the text files in it, in the order of their names.

    Hidden files and folders within are left out, and so are empty files and what is not text: a
    file with a NUL byte at its beginning.

    Raises:
        TextError: there is no text file in a folder, it is a checkpoint, or cannot be read.
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
    """The text files in a folder; errors as of `expand_folders`."""
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
    """The files of a checkpoint are no texts.

    Raises:
        TextError: a folder is one.
    """
    if is_whole_checkpoint(folder):
        raise TextError(
            f"{folder} is a checkpoint and not a folder of texts; where a command takes both, name "
            "the checkpoint first."
        )


def is_text(file: Path) -> bool:
    """Whether a file may be a text: a packed one, or one without NUL at its beginning."""
    if PurePath(file).suffix in (*COMPRESSIONS, ".zst"):
        return True
    with open_regular(file) as content:
        return b"\0" not in content.read(HEAD_BYTES)


def some(names: Iterable[str]) -> str:
    """The first few of some names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
