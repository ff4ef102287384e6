"""One pass over a text: its hash, its length and the properties that its frames depend on."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from charlm.data.frames import Frame, has_blank_line, has_line_ending
from charlm.data.sources import Source
from charlm.errors import TextError
from charlm.text import TextConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """Result of one pass over a text."""

    name: str
    sha256: str
    num_chars: int
    symbols: frozenset[str]  # distinct characters, until at least two are found
    lines: bool  # whether the text has more than one line
    blank_lines: bool  # whether a blank line separates two paragraphs
    notes: tuple[str, ...]  # for the user; verb phrases such as `begins with a mark.`


def scan(source: Source) -> Scan:
    """Read one text to the end.

    Raises:
        TextError: the text cannot be read.
    """
    digest = hashlib.sha256()
    for chunk in source.chunks():
        digest.update(chunk)
    num_chars, symbols, lines, blank_lines, tail = 0, frozenset[str](), False, False, ""
    for text in source.texts():
        num_chars += len(text)
        if len(symbols) < 2:
            symbols |= set(text)
        lines = lines or has_line_ending((tail + text).strip())
        # The end of the previous chunk is kept to find a blank line that spans two chunks.
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
    """Return the notes on several texts, with equal notes merged into one line."""
    texts: dict[str, list[str]] = {}
    for found in scans:
        for note in found.notes:
            texts.setdefault(note, []).append(found.name)
    return tuple(
        f"{names[0]} {note}" if len(names) == 1 else f"{len(names):,} texts: each {note}"
        for note, names in texts.items()
    )


def check_content(paths: Sequence[str], scans: Sequence[Scan]) -> None:
    """Check that training texts have something to learn.

    Raises:
        TextError: a text is empty, or all texts together have only one distinct character.
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
    """Return the default frame.

    For words, it is the paragraph if there are blank lines and the text is not pretokenized,
    otherwise the line; a text of one line is a document. At the other levels it is the document.
    """
    if text.level != "word" or not any(s.lines for s in scans):
        return "document"
    paragraphs = any(s.blank_lines for s in scans) and not text.pretokenized
    return "paragraph" if paragraphs else "line"
