"""Output of generated texts to the terminal, a file or a folder, as text or as JSON."""

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

FLUSH_SECONDS = 0.02  # between flushes; short enough to look continuous


def write_texts(
    pieces: Iterable["Piece"], output: str | None, direction: "Direction" = "forward"
) -> None:
    """Write each text after its prompt as it is generated, or before its ending, in order.

    Args:
        pieces: pieces of the texts; those of different texts may be interleaved.
        output: None for standard output, a file, or a folder, where each text gets its own file.
            In a single file, texts are separated by blank lines.
        direction: "backward" if the given text is the ending.

    Raises:
        ConfigError: the folder already contains texts.
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
    """Write a prompt, its continuation as it is generated, and a line break.

    A text that was generated backwards is written as a whole, before its ending.
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
    finally:  # an error message must start on a new line
        file.write("\n")
        file.flush()


def begun(items: Iterable[Item]) -> Iterator[Item]:
    """Return the items, with the first computed now, so that errors precede opening a file."""
    items = iter(items)
    first = list(islice(items, 1))
    return chain(first, items)


def by_text(pieces: Iterable["Piece"]) -> Iterator[Iterator["Piece"]]:
    """Yield an iterator over the pieces of each text, in order."""
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
    """Write one JSON object with all texts; if interrupted, it contains the complete ones.

    Raises:
        ConfigError: `output` is a folder.
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
    """Write one JSON object per line for each text, as soon as it is complete.

    Raises:
        ConfigError: `output` is a folder.
        StorageError: the file cannot be written.
    """
    generations = begun(generations)
    with open_output(output) as file:
        for generation in generations:
            content = {**record(generation, direction), "seed": seed}
            file.write(dump(content))
            file.flush()


def dump(content: Any, spaces: int | None = None) -> str:
    """Return JSON with unescaped Unicode, except for surrogate escapes of invalid bytes."""
    text = json.dumps(content, ensure_ascii=False, indent=spaces) + "\n"
    return re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def record(generation: "Generation", direction: "Direction" = "forward") -> dict[str, Any]:
    """Return the JSON object of a generated text."""
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
    """Open standard output if `output` is None, or a file; invalid UTF-8 is written unchanged.

    A new file can be read while it is written. An existing file is replaced at the end, so an error
    or a kill leaves it unchanged. After an interruption, the text written so far is kept in both
    cases.

    Raises:
        ConfigError: `output` is a folder.
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
    """Open a text file with `atomic_file`, and replace `path` after an interruption, too.

    Raises:
        StorageError: the file cannot be written.
    """
    interruption: BaseException | None = None
    with atomic_file(path) as binary:
        file = as_text(binary)
        try:
            yield file
        except (KeyboardInterrupt, SystemExit) as stop:  # SIGTERM raises SystemExit
            interruption = stop
        file.flush()
    if interruption is not None:
        raise interruption


def as_text(binary: BinaryIO) -> TextIO:
    """Return a text file that writes UTF-8 to a binary file and closes it."""
    return TextIOWrapper(binary, encoding="utf-8", errors="surrogateescape", newline="")


def check_folder(folder: Path) -> None:
    """Check that a folder contains no texts, so that those of two runs are not mixed.

    Raises:
        ConfigError: the folder already contains texts.
    """
    if any(folder.glob("[0-9]*.txt")):
        raise ConfigError(f"{folder} holds texts already; choose another folder.")


def is_folder(output: str) -> bool:
    """Return whether the output is a folder, where each text gets its own file."""
    return output.endswith("/") or Path(output).is_dir()
