"""Files from elsewhere: only regular files are opened, sizes and nesting are bounded.

Every file that charlm reads by itself (in a checkpoint, a recipe, a cache, or named by one of
these) is opened here. A named pipe, a device, a socket or a folder in its place is refused before
it is opened, so that nothing hangs; what is read as a whole has a maximum size; and JSON and TOML
may not be nested so deeply that reading or writing it fails.
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

# Maximum sizes of files that are read as a whole, in bytes: far above what charlm writes.
MAX_CONFIG_BYTES = 8 << 20
MAX_RECIPE_BYTES = 1 << 20
MAX_ADAPTATION_BYTES = 1 << 20
MAX_TOKENIZER_BYTES = 128 << 20

MAX_VALUES = 1 << 18  # in a piece of JSON: as Python's objects they take 50 times their bytes
MAX_TOKENIZER_VALUES = 1_010_000  # a million symbols, or a quarter with merges, and the rest
MAX_DEPTH = 100  # nested levels of JSON and TOML; charlm itself writes fewer than ten
MAX_KEY_PARTS = 100  # dots in a line of TOML outside strings: tomllib takes quadratic time
MAX_KEYS = 1 << 14  # in TOML with their parts, a kilobyte each: far more than there are settings
KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
# All repeats are possessive, so that no text takes quadratic time or memory for backtracking; a
# string that does not end reaches to the end of its line or of the file.
JSON_MARK = re.compile(  # what comes before a comma, bracket or brace outside strings, and it
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
    """A file that is not read: it is not a regular file, or it is too large."""

    def __init__(self, reason: str) -> None:
        """Take the reason, as the end of "FILE cannot be read: …"."""
        super().__init__(errno.EINVAL, reason)

    def __str__(self) -> str:
        return str(self.strerror)


class RefusedFolderError(RefusedFileError, IsADirectoryError):
    """A folder in place of a file."""


@contextmanager
def open_regular(path: Path | str) -> Iterator[BufferedReader]:
    """Open a regular file for reading; a symbolic link to one is followed.

    Raises:
        RefusedFileError: it is a folder, a named pipe, a device or a socket.
        OSError: it is missing or cannot be read.
    """
    check_regular(os.stat(path))  # not opened at all: opening a device may have effects
    # Another file may be there by now: a pipe must not block, a terminal must not take over.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    with open(os.open(path, flags), "rb") as file:
        check_regular(os.fstat(file.fileno()))
        yield file


def check_regular(found: os.stat_result) -> None:
    """Refuse what is not a regular file; errors as of `open_regular`."""
    if stat.S_ISDIR(found.st_mode):
        raise RefusedFolderError("it is a folder, not a file")
    if not stat.S_ISREG(found.st_mode):
        kind = KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise RefusedFileError(f"it is {kind}, not a regular file")


def read_regular(path: Path | str, max_bytes: int) -> bytes:
    """Return the content of a regular file that may have up to `max_bytes`.

    Raises:
        OSError: as of `open_regular`.
        RefusedFileError: the file is larger, too.
    """
    with open_regular(path) as file:
        content = file.read(max_bytes + 1)  # its size may change while it is read
    if len(content) > max_bytes:
        raise RefusedFileError(f"it is larger than {max_bytes:,} bytes, the maximum of such files")
    return content


def parse_json(content: str | bytes, max_values: int = MAX_VALUES) -> Any:
    """Return what JSON in UTF-8 says.

    Raises:
        ValueError: it is not JSON, not UTF-8, nested more than `MAX_DEPTH` levels deep, or has more
            than `max_values` values.
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
    """Return whether JSON has more values, by the commas, brackets and braces outside its texts."""

    marks = islice(JSON_MARK.finditer(text), most + 1)  # the last ones may be the end of the text
    return sum(mark[1] is not None for mark in marks) > most


def parse_toml(content: bytes) -> dict[str, Any]:
    """Return what TOML in UTF-8 says; whole numbers have at most 64 bits, as TOML demands.

    Raises:
        ValueError: it is not TOML, not UTF-8, nested more than `MAX_DEPTH` levels deep, or has more
            than `MAX_KEYS` keys.
    """
    text = content.decode()
    bare = TOML_TEXT.sub("", text)
    if any(line.count(".") > MAX_KEY_PARTS for line in bare.split("\n")):
        raise too_deep()
    if sum(bare.count(mark) for mark in ".=[{") > MAX_KEYS:  # headers and inline tables, too
        raise ValueError(f"it has more than {MAX_KEYS:,} keys and tables")
    try:
        value = tomllib.loads(text)
    except RecursionError:
        raise too_deep() from None
    check_depth(value)
    check_whole_numbers(value)
    return value


def check_depth(value: Any) -> None:
    """Refuse lists and tables that are nested too deeply.

    Raises:
        ValueError: they are.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        level = members_of(level)
    if any(isinstance(each, (dict, list)) for each in level):
        raise too_deep()


def check_whole_numbers(value: Any) -> None:
    """Refuse whole numbers beyond 64 bits in a value that is not nested too deeply.

    Raises:
        ValueError: there is one.
    """
    level = [value]
    while level := members_of(level):
        if any(isinstance(each, int) and not -(2**63) <= each < 2**63 for each in level):
            raise ValueError("it has a whole number of more than 64 bits")


def members_of(values: list[Any]) -> list[Any]:
    """Return the members of those values that are lists or tables."""
    return [
        member
        for each in values
        if isinstance(each, (dict, list))
        for member in (each.values() if isinstance(each, dict) else each)
    ]


def too_deep() -> ValueError:
    """The error for lists and tables that are nested too deeply."""
    return ValueError(f"it is nested more than {MAX_DEPTH} levels deep")
