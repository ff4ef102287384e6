"""Safe reading of untrusted files: only regular files, with limits on size and nesting.

Every file that charlm reads on its own (in a checkpoint, a recipe or a cache, or named by one of
these) is opened here. Named pipes, devices, sockets and folders are refused before they are opened,
so that nothing hangs. Files that are read as a whole have a maximum size. JSON and TOML may not be
nested so deeply that reading or writing them fails.
"""

import errno
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any

# Maximum sizes of files that are read as a whole, in bytes; far larger than charlm's own files.
MAX_CONFIG_BYTES = 8 << 20
MAX_RECIPE_BYTES = 1 << 20
MAX_ADAPTATION_BYTES = 1 << 20
MAX_TOKENIZER_BYTES = 128 << 20

MAX_VALUES = 1 << 18  # in one JSON text: as Python objects, values take 50 times their bytes
MAX_TOKENIZER_VALUES = 1_010_000  # for a million symbols, or a quarter of that with merges
MAX_DEPTH = 100  # nested levels of JSON and TOML; charlm itself writes fewer than ten
MAX_KEY_PARTS = 100  # dots in a line of TOML outside strings; tomllib takes quadratic time
MAX_KEYS = 1 << 14  # keys and key parts in TOML, which take a kilobyte each; far more than settings
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
# All repeats are possessive, so that backtracking cannot take quadratic time or memory. An
# unterminated string extends to the end of its line or of the file.
JSON_MARK = re.compile(  # text up to and including a comma, bracket or brace outside strings
    r'(?:[^",\[{]++|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))*+(?:([,\[{])|\Z)', re.DOTALL
)
# Strings and comments of TOML. A multi-line string may end in up to five quotation marks.
TOML_TEXT = re.compile(
    r'"""[^"\\]*+(?:(?:\\.|(?!""")")[^"\\]*+)*+(?:"{3,5}+)?+'
    r"|'''[^']*+(?:(?!''')'[^']*+)*+(?:'{3,5}+)?+"
    r'|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"?+'
    r"|'[^'\n]*+'?+"
    r"|#[^\n]*+",
    re.DOTALL,
)


class RefusedFileError(OSError):
    """A file is refused because it is not a regular file or is too large."""

    def __init__(self, reason: str) -> None:
        """Take the reason, which completes the message "FILE cannot be read: …"."""
        super().__init__(errno.EINVAL, reason)

    def __str__(self) -> str:
        return str(self.strerror)


class RefusedFolderError(RefusedFileError, IsADirectoryError):
    """A file is refused because it is a folder."""


@contextmanager
def open_regular(path: Path | str) -> Iterator[BufferedReader]:
    """Open a regular file for reading; a symbolic link to one is followed.

    Raises:
        RefusedFileError: the path is a folder, a named pipe, a device or a socket.
        OSError: the file is missing or cannot be read.
    """
    check_regular(os.stat(path))  # before opening, which can have side effects for a device
    # The file may have been replaced: a pipe must not block, a terminal must not take control.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    with open(os.open(path, flags), "rb") as file:
        check_regular(os.fstat(file.fileno()))
        yield file


def check_regular(found: os.stat_result) -> None:
    """Check that a file is a regular file.

    Raises:
        RefusedFileError: it is a folder, a named pipe, a device or a socket.
    """
    if stat.S_ISDIR(found.st_mode):
        raise RefusedFolderError("it is a folder, not a file")
    if not stat.S_ISREG(found.st_mode):
        kind = KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise RefusedFileError(f"it is {kind}, not a regular file")


def read_regular(path: Path | str, max_bytes: int) -> bytes:
    """Return the content of a regular file of at most `max_bytes`.

    Raises:
        RefusedFileError: the path is not a regular file, or the file is larger.
        OSError: the file is missing or cannot be read.
    """
    with open_regular(path) as file:
        content = file.read(max_bytes + 1)  # the size may change meanwhile
    if len(content) > max_bytes:
        raise RefusedFileError(f"it is larger than {max_bytes:,} bytes, the maximum of such files")
    return content


def parse_json(content: str | bytes, max_values: int = MAX_VALUES) -> Any:
    """Return the value of a JSON text in UTF-8.

    Raises:
        ValueError: the text is not JSON, is not UTF-8, is nested more than `MAX_DEPTH` levels deep,
            or has more than `max_values` values.
    """
    text = content if isinstance(content, str) else content.decode()
    if has_more_values(text, max_values):
        raise ValueError(f"it has more than {max_values:,} values")
    try:
        value = json.loads(text)
    except RecursionError:
        raise too_deep() from None
    check_depth(value)
    return value


def has_more_values(text: str, most: int) -> bool:
    """Return True if JSON has more than `most` commas, brackets and braces outside strings."""

    marks = islice(JSON_MARK.finditer(text), most + 1)  # the last match may be the end of the text
    return sum(mark[1] is not None for mark in marks) > most


def parse_toml(content: bytes) -> dict[str, Any]:
    """Return the table of a TOML text in UTF-8; integers have at most 64 bits, as in its standard.

    Raises:
        ValueError: the text is not TOML, is not UTF-8, is nested more than `MAX_DEPTH` levels deep,
            has more than `MAX_KEYS` keys, or has an integer of more than 64 bits.
    """
    text = content.decode()
    bare = TOML_TEXT.sub("", text)
    if any(line.count(".") > MAX_KEY_PARTS for line in bare.split("\n")):
        raise too_deep()
    if sum(bare.count(mark) for mark in ".=[{") > MAX_KEYS:  # also counts headers and inline tables
        raise ValueError(f"it has more than {MAX_KEYS:,} keys and tables")
    try:
        value = tomllib.loads(text)
    except RecursionError:
        raise too_deep() from None
    check_depth(value)
    check_whole_numbers(value)
    return value


def check_depth(value: Any) -> None:
    """Check that lists and tables are nested at most `MAX_DEPTH` levels deep.

    Raises:
        ValueError: they are nested more deeply.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        level = members_of(level)
    if any(isinstance(each, (dict, list)) for each in level):
        raise too_deep()


def check_whole_numbers(value: Any) -> None:
    """Check that all integers fit in 64 bits, in a value whose nesting has been checked.

    Raises:
        ValueError: an integer has more than 64 bits.
    """
    level = [value]
    while level := members_of(level):
        if any(isinstance(each, int) and not -(2**63) <= each < 2**63 for each in level):
            raise ValueError("it has a whole number of more than 64 bits")


def members_of(values: list[Any]) -> list[Any]:
    """Return the members of all values that are lists or tables."""
    return [
        member
        for each in values
        if isinstance(each, (dict, list))
        for member in (each.values() if isinstance(each, dict) else each)
    ]


def too_deep() -> ValueError:
    """Return the error for lists and tables that are nested too deeply."""
    return ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
