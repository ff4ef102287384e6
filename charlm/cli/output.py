"""Where texts go: to the terminal as they come, to a file, to a folder; as text or as JSON."""

import json
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import chain, groupby, islice
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, TypeVar

from charlm.errors import ConfigError
from charlm.storage import atomic_file, make_folder, storage_errors

if TYPE_CHECKING:
    from charlm.api import Generation, Piece
    from charlm.data import Direction

Item = TypeVar("Item")

FLUSH_SECONDS = 0.02  # the eye does not see that text comes in such steps


def write_texts(
    pieces: Iterable["Piece"], output: str | None, direction: "Direction" = "forward"
) -> None:
    """Each text after its prompt, as it comes, in order; or before its ending.

    In one file, a blank line stands between two; in a folder, each has its own.

    Raises:
        StorageError: a file cannot be written.
    """
    if output is not None and is_folder(output):
        check_folder(Path(output))
        make_folder(Path(output))
        for text in by_text(pieces):
            first = next(text)
            with open_output(str(Path(output) / f"{first.index + 1:04}.txt")) as file:
                write_text(first, text, file, direction)
        return
    texts = by_text(begun(pieces))
    with open_output(output) as file:
        for text in texts:
            first = next(text)
            if first.index > 0:
                file.write("\n")
            write_text(first, text, file, direction)


def write_text(
    first: "Piece", rest: Iterable["Piece"], file: TextIO, direction: "Direction"
) -> None:
    """A prompt and what follows it, shown as it comes, and a line break.

    What leads up to an ending comes as a whole, and the ending after it.
    """
    if direction == "backward":
        text = "".join(piece.text for piece in chain([first], rest))
        file.write(f"{text}{first.prompt}\n")
        return
    file.write(first.prompt)
    flushed = 0.0
    try:
        for piece in chain([first], rest):
            file.write(piece.text)
            if time.monotonic() - flushed > FLUSH_SECONDS:
                file.flush()
                flushed = time.monotonic()
    finally:  # what stops the writing is said on a line of its own
        file.write("\n")
        file.flush()


def begun(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, the first of them made now: a mistake shows before a file is touched."""
    items = iter(items)
    first = list(islice(items, 1))
    return chain(first, items)


def by_text(pieces: Iterable["Piece"]) -> Iterator[Iterator["Piece"]]:
    """The pieces of each text by themselves."""
    from charlm.api import in_order

    for _, text in groupby(in_order(pieces), key=lambda piece: piece.index):
        yield text


def write_json(
    generations: Iterable["Generation"],
    output: str | None,
    direction: "Direction" = "forward",
    *,
    seed: int | None,
) -> None:
    """One object that holds all texts; an interrupted one holds those there are.

    Raises:
        StorageError: the file cannot be written.
    """
    generations = begun(generations)
    with open_output(output) as file:
        file.write(f'{{\n  "seed": {json.dumps(seed)},\n  "texts": [')
        try:
            for index, generation in enumerate(generations):
                file.write(",\n" if index else "\n")
                file.write(indent(dump(record(generation, direction), 2).rstrip("\n"), "    "))
        finally:
            file.write("\n  ]\n}\n")


def write_json_lines(
    generations: Iterable["Generation"],
    output: str | None,
    direction: "Direction" = "forward",
    *,
    seed: int | None,
) -> None:
    """An object a line for each text, as soon as it is complete.

    Raises:
        StorageError: the file cannot be written.
    """
    generations = begun(generations)
    with open_output(output) as file:
        for generation in generations:
            content = {**record(generation, direction), "seed": seed}
            file.write(dump(content))
            file.flush()


def dump(content: Any, spaces: int | None = None) -> str:
    """JSON in readable UTF-8; bytes that are no text stay escaped."""
    text = json.dumps(content, ensure_ascii=False, indent=spaces) + "\n"
    return re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def record(generation: "Generation", direction: "Direction" = "forward") -> dict[str, Any]:
    """A text as JSON has it."""
    content: dict[str, Any] = {
        "prompt" if direction == "forward" else "ending": generation.prompt,
        "text": generation.text,
        "end": generation.end,
    }
    if generation.score is not None:
        content |= {"log_prob": generation.log_prob, "score": generation.score}
    if generation.choices is not None:
        content["tokens"] = [
            {
                "token": choice.token,
                "log_prob": choice.log_prob,
                "alternatives": [
                    {"token": token, "log_prob": value} for token, value in choice.alternatives
                ],
            }
            for choice in generation.choices
        ]
    return content


@contextmanager
def open_output(output: str | None) -> Iterator[TextIO]:
    """Standard output, or a file; bytes that are not UTF-8 go out as they are.

    A new file can be read while it is written. An existing one is replaced at the end: an error or
    a kill leaves it as it was. What was written before an interruption is kept in both cases.

    Raises:
        ConfigError: it is a folder.
        StorageError: the file cannot be written.
    """
    if output is None:
        yield sys.stdout
        return
    if is_folder(output):
        raise ConfigError(f"{output} is a folder; --json and --jsonl write one file.")
    path = Path(output)
    with (
        storage_errors(path),
        replaced_file(path) if path.exists() else as_text(path.open("wb")) as file,
    ):
        yield file


@contextmanager
def replaced_file(path: Path) -> Iterator[TextIO]:
    """Open a file as `atomic_file` does, which also takes its place after an interruption.

    Raises:
        StorageError: the file cannot be written.
    """
    interruption: BaseException | None = None
    with atomic_file(path) as binary:
        file = as_text(binary)
        try:
            yield file
        except (KeyboardInterrupt, SystemExit) as stop:  # the latter by SIGTERM
            interruption = stop
        file.flush()
    if interruption is not None:
        raise interruption


def as_text(binary: BinaryIO) -> TextIO:
    """Return a file of text that is written to a binary one, and closes it."""
    return TextIOWrapper(binary, encoding="utf-8", errors="surrogateescape", newline="")


def check_folder(folder: Path) -> None:
    """Texts of two runs are not to be mixed.

    Raises:
        ConfigError: there are texts in it.
    """
    if any(folder.glob("[0-9]*.txt")):
        raise ConfigError(f"{folder} holds texts already; choose another folder.")


def is_folder(output: str) -> bool:
    """Whether each text gets a file of its own."""
    return output.endswith("/") or Path(output).is_dir()
