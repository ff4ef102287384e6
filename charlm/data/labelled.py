"""Texts with labels: tab-separated tables, JSON lines, or one folder per label."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from charlm.data.folders import check_no_checkpoint, some
from charlm.data.nbest import read_lines
from charlm.data.pairs import parse_object, shown
from charlm.data.sources import COMPRESSIONS, Source, TextAtHand, read_errors, source_of
from charlm.errors import TextError

TABLE, OBJECTS = (".tsv",), (".jsonl", ".ndjson")
LABEL, TEXT = "label", "text"


@dataclass(frozen=True, slots=True)
class Columns:
    """Names of the columns of a table, or of the fields of a JSON object."""

    label: str = LABEL
    text: str = TEXT


@dataclass(frozen=True, slots=True)
class LabelledText:
    """Texts by label, and the SHA-256 hash of their content."""

    sources: dict[str, list[Source]]
    sha256: str
    is_folder: bool  # each text is a file, which may be long
    notes: tuple[str, ...] = ()  # messages for the user


def is_labelled(path: str) -> bool:
    """Return whether a path is a folder or has the suffix of a table or of JSON lines."""
    return Path(path).is_dir() or plain_suffix(path) in (*TABLE, *OBJECTS)


def plain_suffix(path: str) -> str:
    """Return the suffix without that of a compression: `.tsv` for `plays.tsv.gz`."""
    name = PurePath(path)
    packed = name.suffix in (*COMPRESSIONS, ".zst")
    return name.with_suffix("").suffix if packed else name.suffix


def read_labelled(path: str, columns: Columns, *, any_bytes: bool = False) -> LabelledText:
    """Read texts with labels, sorted by label.

    Tables and JSON lines are held in memory; the files of a folder are not. The first line of a
    tab-separated table names its columns. If it does not, each line is a label and a text.

    Raises:
        TextError: the path has no labels, the text cannot be read, or a label or a text is missing
            or invalid.
    """
    if Path(path).is_dir():
        return read_folder(Path(path), any_bytes=any_bytes)
    suffix = plain_suffix(path)
    if suffix not in (*TABLE, *OBJECTS):
        raise TextError(
            f"{path} has no labels; name a .tsv or .jsonl file, or a folder with a folder for each "
            "label."
        )
    source = source_of(path)
    digest = hashlib.sha256()
    for chunk in source.chunks():
        digest.update(chunk)
    lines = [line.removesuffix("\r") for line in read_lines(source)]
    if not lines:
        raise TextError(f"{path} is empty; write a label and a text on each line.")
    read = read_table if suffix in TABLE else read_objects
    sources: dict[str, list[Source]] = {}
    for label, text in read(path, lines, columns):
        sources.setdefault(label, []).append(TextAtHand(text, name=path))
    return LabelledText(dict(sorted(sources.items())), digest.hexdigest(), is_folder=False)


def read_folder(folder: Path, *, any_bytes: bool) -> LabelledText:
    """Read a folder of folders. The name of an inner folder is the label of the files in it.

    Hidden files and folders and empty files are left out.

    Raises:
        TextError: the folder is a checkpoint or has no inner folder with texts, a file cannot be
            read, or the name of an inner folder is not a valid label.
    """
    check_no_checkpoint(folder)
    sources: dict[str, list[Source]] = {}
    empty: list[str] = []
    digest = hashlib.sha256()
    for inner, file, size in files_by_label(folder):
        source = Source(str(file), any_bytes=any_bytes)
        digest.update(f"{inner.name}\n{file.name}\n".encode("utf-8", "surrogateescape"))
        if not size:
            empty.append(f"{inner.name}/{file.name}")
            continue
        for chunk in source.chunks():
            digest.update(hashlib.sha256(chunk).digest())
        sources.setdefault(check_label(inner.name, str(inner)), []).append(source)
    if not sources:
        raise TextError(f"{folder} has no folder with texts in it; make one for each label.")
    notes = (f"{folder}: left out empty files: {some(empty)}.",) if empty else ()
    return LabelledText(sources, digest.hexdigest(), is_folder=True, notes=notes)


def files_by_label(folder: Path) -> list[tuple[Path, Path, int]]:
    """Return the folder, the path and the size of each file in the folders in a folder, in order.

    Raises:
        TextError: a folder cannot be read.
    """
    found = []
    with read_errors(str(folder)):
        inner_folders = sorted(path for path in folder.iterdir() if visible_folder(path))
    for inner in inner_folders:
        with read_errors(str(inner)):
            files = sorted(path for path in inner.iterdir() if path.is_file())
            visible = [path for path in files if not path.name.startswith(".")]
            found += [(inner, path, path.stat().st_size) for path in visible]
    return found


def visible_folder(path: Path) -> bool:
    """Return whether a path is a folder that is not hidden."""
    return path.is_dir() and not path.name.startswith(".")


def read_table(path: str, lines: Sequence[str], columns: Columns) -> Iterator[tuple[str, str]]:
    """Yield the label and the text of each line of a tab-separated table.

    Raises:
        TextError: a column is missing, or a line has the wrong number of fields, an empty field or
            an invalid label.
    """
    names, begin = lines[0].split("\t"), 1
    if columns.label not in names or columns.text not in names:
        if columns != Columns() or len(names) != 2:
            missing = columns.text if columns.label in names else columns.label
            raise TextError(
                f"{path}:1: there is no column {missing!r} among {shown(', '.join(names))}; name "
                "the columns there, or by --label-column and --text-column."
            )
        names, begin = [columns.label, columns.text], 0  # the names are optional for two columns
    label_at, text_at = names.index(columns.label), names.index(columns.text)
    for number, line in enumerate(lines[begin:], begin + 1):
        fields = line.split("\t")
        if len(fields) != len(names):
            raise TextError(
                f"{path}:{number}: expected {len(names)} fields parted by tabs, but found "
                f"{len(fields)}."
            )
        yield check_pair(fields[label_at], fields[text_at], f"{path}:{number}")


def read_objects(path: str, lines: Sequence[str], columns: Columns) -> Iterator[tuple[str, str]]:
    """Yield the label and the text of each JSON object.

    Raises:
        TextError: a line is not a JSON object, or a field is missing, empty or of another type.
    """
    for number, line in enumerate(lines, 1):
        place = f"{path}:{number}"
        content = parse_object(line, place)
        for name in (columns.label, columns.text):
            if name not in content:
                raise TextError(
                    f"{place}: there is no {name!r} among {shown(', '.join(content))}; name it by "
                    "--label-column or --text-column."
                )
        label, text = content[columns.label], content[columns.text]
        if not isinstance(text, str) or not isinstance(label, (str, int)):
            wrong = label if isinstance(text, str) else text
            raise TextError(f"{place}: expected a text, not {shown(wrong)}.")
        yield check_pair(str(label), text, place)


def check_pair(label: str, text: str, place: str) -> tuple[str, str]:
    """Return a label and a text that have been checked.

    Raises:
        TextError: one of them is empty, or the label is invalid.
    """
    for what, value in (("label", label), ("text", text)):
        if not value.strip():
            raise TextError(f"{place}: the {what} is empty; write it, or remove the line.")
    return check_label(label, place), text


def check_label(label: str, place: str) -> str:
    """Return a label that has been checked.

    Labels are printed and are given weights on the command line as `label=weight`.

    Raises:
        TextError: the label is not printable or contains `=`.
    """
    if not label.isprintable() or "=" in label:
        raise TextError(f"{place}: a label must be printable and without '=', not {shown(label)}.")
    return label
