"""What one reading of a text tells: its hash, its length, whether it holds anything to learn."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from charlm.data.frames import Frame, has_blank_line, has_line_ending
from charlm.data.sources import Source
from charlm.errors import TextError
from charlm.text import TextConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """What one reading of a text told."""

    name: str
    sha256: str
    num_chars: int
    symbols: frozenset[str]  # its distinct characters, as far as the first two
    lines: bool  # whether there is more than one
    blank_lines: bool  # whether one parts two paragraphs
    notes: tuple[str, ...]  # what it does that a user should know, as in `begins with a mark.`


def scan(source: Source) -> Scan:
    """Read one text to the end, checking that it can be read."""
    digest = hashlib.sha256()
    for chunk in source.chunks():
        digest.update(chunk)
    num_chars, symbols, lines, blank_lines, tail = 0, frozenset[str](), False, False, ""
    for text in source.texts():
        num_chars += len(text)
        if len(symbols) < 2:
            symbols |= set(text)
        lines = lines or has_line_ending((tail + text).strip())
        # A few thousand characters from before, so that a blank line between chunks is seen.
        blank_lines = blank_lines or has_blank_line(tail + text)
        tail = (tail + text)[-4096:]
    notes = []
    if source.has_byte_order_mark:
        notes.append("begins with a byte-order mark, which is not text: left out.")
    return Scan(
        name=source.name,
        sha256=digest.hexdigest(),
        num_chars=num_chars,
        symbols=symbols,
        lines=lines,
        blank_lines=blank_lines,
        notes=tuple(notes),
    )


def join_notes(scans: Iterable[Scan]) -> tuple[str, ...]:
    """The notes on several texts: one line each, however many texts have it."""
    texts: dict[str, list[str]] = {}
    for found in scans:
        for note in found.notes:
            texts.setdefault(note, []).append(found.name)
    return tuple(
        f"{names[0]} {note}" if len(names) == 1 else f"{len(names):,} texts: each {note}"
        for note, names in texts.items()
    )


def check_content(paths: Sequence[str], scans: Sequence[Scan]) -> None:
    """See that there is something to learn.

    Raises:
        TextError: nothing, or one distinct character over and over.
    """
    for path, found in zip(paths, scans, strict=True):
        if not found.num_chars:
            raise TextError(f"{path} is empty; a model needs a few thousand characters at least.")
    symbols = frozenset[str]().union(*(s.symbols for s in scans))
    if len(symbols) == 1:
        raise TextError(
            f"{paths[0]} holds nothing but {next(iter(symbols))!r}; a model needs at least two "
            "distinct characters to tell apart."
        )


def default_frame(text: TextConfig, scans: Sequence[Scan]) -> Frame:
    """Words come in paragraphs, else in lines, if there are any; the other levels in documents."""
    if text.level != "word" or not any(s.lines for s in scans):
        return "document"
    paragraphs = any(s.blank_lines for s in scans) and not text.pretokenized
    return "paragraph" if paragraphs else "line"
