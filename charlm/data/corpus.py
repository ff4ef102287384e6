"""A corpus: texts, the parts they are split into, and what makes them themselves."""

import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal, get_args

from charlm.data.frames import Frame, Framing, Piece, frame_pieces, has_blank_line
from charlm.data.sources import STDIN, Source
from charlm.errors import ConfigError, TextError
from charlm.text import TextConfig

Direction = Literal["forward", "backward"]
Part = Literal["train", "valid", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
DEFAULT_SPLIT = (90.0, 5.0, 5.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusConfig:
    """Which texts, and how they are split and framed.

    `valid` and `test` name texts of their own; without them `split` cuts `paths`, taken in a row,
    into contiguous parts (percent for train, valid, test).
    """

    paths: tuple[str, ...]
    valid: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    split: tuple[float, float, float] | None = None
    frame: Frame | None = None  # None: paragraphs for words where there are any, else lines;
    # documents at the other levels
    independent_frames: bool = False
    direction: Direction = "forward"  # backward: from the end of the text to its beginning

    def __post_init__(self) -> None:
        if not self.paths:
            raise ConfigError("name at least one text to train on.")
        for path in (*self.paths, *self.valid, *self.test):
            if not path.isprintable():
                raise ConfigError(f"the name of a text must be printable UTF-8, not {path!r}.")
        if [*self.paths, *self.valid, *self.test].count(STDIN) > 1:
            raise ConfigError("standard input can be only one text; name `-` once.")
        if self.split is not None and (self.valid or self.test):
            raise ConfigError("--split has no effect beside --valid and --test; leave it out.")
        if self.split is not None:
            whole = sum(self.split)
            if len(self.split) != 3 or min(self.split) < 0 or not abs(whole - 100) < 1e-6:
                raise ConfigError(f"--split must be three percentages of sum 100, not {whole:g}.")
            if self.split[0] == 0:
                raise ConfigError("--split leaves nothing to train on; give train more than 0.")
        if self.frame is not None and self.frame not in get_args(Frame):
            known = ", ".join(get_args(Frame))
            raise ConfigError(f"frame must be one of {known}, not {self.frame!r}.")
        if self.direction not in get_args(Direction):
            known = " or ".join(get_args(Direction))
            raise ConfigError(f"direction must be {known}, not {self.direction!r}.")


def parse_split(text: str) -> tuple[float, float, float]:
    """Read `90/5/5`.

    Raises:
        ConfigError: it is not three numbers with slashes between them.
    """
    try:
        train, valid, test = (float(share) for share in text.split("/"))
    except ValueError:
        raise ConfigError(f"--split must look like 90/5/5, not {text!r}.") from None
    return train, valid, test


class TextPart:
    """The frames that begin at characters `start` .. `end` of some texts in a row.

    Going through it gives the texts a vocabulary is built from; it can be done again and again.
    A document is cut at the boundary itself, and both sides are documents.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        framing: Framing,
        start: int = 0,
        end: int = sys.maxsize,
        *,
        whole_words: bool = True,
    ) -> None:
        self.framing = framing
        self._sources = sources
        self._start = start
        self._end = end
        self._whole_words = whole_words

    def __iter__(self) -> Iterator[str]:
        return (piece.text for piece in self.pieces() if piece.text)

    def pieces(self) -> Iterator[Piece]:
        """The pieces of the part, in order."""
        documents = (frame_pieces(source.texts(), self.framing) for source in self._sources)
        pieces = chain.from_iterable(documents)
        if self.framing.frame == "document":
            return slice_documents(pieces, self._start, self._end, self._whole_words)
        return select_frames(pieces, self._start, self._end)


def select_frames(pieces: Iterable[Piece], start: int, end: int) -> Iterator[Piece]:
    """The frames whose first character lies in `start` .. `end`."""
    offset = begin = 0
    for piece in pieces:
        if piece.opens or not (piece.text or piece.closes):
            begin = offset
        if begin >= end:
            return
        if begin >= start:
            yield piece
        offset += piece.num_chars


def slice_documents(
    pieces: Iterable[Piece], start: int, end: int, whole_words: bool
) -> Iterator[Piece]:
    """The characters `start` .. `end`, as documents.

    With `whole_words` the rest of a word goes with its beginning.
    """
    held: Piece | None = None
    for offset, piece in cut_pieces(pieces, (start, end), whole_words):
        if offset >= end:
            break
        if offset < start:
            continue
        if held is None:
            held = replace(piece, opens=True)
        else:
            yield held
            held = piece
    if held is not None:
        yield replace(held, closes=True)


def cut_pieces(
    pieces: Iterable[Piece], bounds: Sequence[int], whole_words: bool
) -> Iterator[tuple[int, Piece]]:
    """Each piece with its offset, cut in two where a bound falls inside it."""
    offset = 0
    for piece in pieces:
        for bound in bounds:
            position = bound - offset
            if whole_words and 0 < position < len(piece.text):
                space = re.compile(r"\s").search(piece.text, position)
                position = space.start() if space else len(piece.text)
            if 0 < position < len(piece.text):
                head, piece = piece.cut(position)
                yield offset, head
                offset += position
        yield offset, piece
        offset += piece.num_chars


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus that has been read once: its parts, and the sha256 that names its content."""

    config: CorpusConfig  # with the frame that was chosen
    parts: dict[Part, TextPart]
    framing: Framing
    sha256: str
    num_chars: int
    notes: tuple[str, ...]  # what a user should be told


def read_corpus(config: CorpusConfig, text: TextConfig) -> Corpus:
    """Read every text once: check it, count it, hash it, choose the frame.

    Raises:
        TextError: a text cannot be read, is empty, or has only one distinct character.
        ConfigError: frames are to be independent, but there is only one.
    """
    named = {"train": config.paths, "valid": config.valid, "test": config.test}
    any_bytes = text.level == "byte"
    sources = {
        part: [Source(path, any_bytes=any_bytes) for path in paths] for part, paths in named.items()
    }
    scans = {part: [scan(source) for source in sources[part]] for part in sources}
    check_content(config.paths, scans["train"])
    for path, found in zip(config.valid + config.test, scans["valid"] + scans["test"], strict=True):
        if not found.num_chars:
            raise TextError(f"{path} is empty; there is nothing to measure on.")
    frame = config.frame or default_frame(text, scans["train"])
    if config.independent_frames and frame == "document" and len(config.paths) == 1:
        raise ConfigError(
            "--independent-frames has no effect on one document; add --frame line or paragraph."
        )
    framing = Framing(frame=frame, pretokenized=text.pretokenized)
    num_chars = sum(s.num_chars for s in scans["train"])
    whole_words = text.level == "word"

    def part_of(part: Part) -> TextPart:
        if config.valid or config.test:
            return TextPart(sources[part], framing, whole_words=whole_words)
        shares = config.split or DEFAULT_SPLIT
        index = PARTS.index(part)
        start = int(num_chars * sum(shares[:index]) / 100)
        end = int(num_chars * sum(shares[: index + 1]) / 100) if index < 2 else num_chars
        return TextPart(sources["train"], framing, start, end, whole_words=whole_words)

    contents = [(part, s.sha256) for part in PARTS for s in scans[part]]
    return Corpus(
        config=replace(config, frame=frame),
        parts={part: part_of(part) for part in PARTS},
        framing=framing,
        sha256=hashlib.sha256(repr(contents).encode()).hexdigest(),
        num_chars=num_chars,
        notes=tuple(note for part in PARTS for s in scans[part] for note in s.notes),
    )


def read_text(path: str, framing: Framing, *, any_bytes: bool, name: str | None = None) -> TextPart:
    """A text to evaluate, by its path; errors call it by its name, if it has another.

    Raises:
        TextError: it is empty or missing.
    """
    source = Source(path, any_bytes=any_bytes, name=name)
    if not any(source.chunks()):
        raise TextError(f"{source.name} is empty; there is nothing to evaluate.")
    return TextPart([source], framing)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """What one reading of a text told."""

    sha256: str
    num_chars: int
    symbols: frozenset[str]  # its distinct characters, as far as the first two
    lines: bool  # whether there is more than one
    blank_lines: bool  # whether one parts two paragraphs
    notes: tuple[str, ...]


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
        lines = lines or "\n" in (tail + text).strip()
        # A few thousand characters from before, so that a blank line between chunks is seen.
        blank_lines = blank_lines or has_blank_line(tail + text)
        tail = (tail + text)[-4096:]
    notes = []
    if source.has_byte_order_mark:
        notes.append(f"{source.name} begins with a byte-order mark, which is not text: left out.")
    return Scan(
        sha256=digest.hexdigest(),
        num_chars=num_chars,
        symbols=symbols,
        lines=lines,
        blank_lines=blank_lines,
        notes=tuple(notes),
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
