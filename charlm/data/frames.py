"""Frames: what `<start>` ... `<stop>` encloses, as a stream of pieces."""

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

Frame = Literal["line", "paragraph", "document"]

MAX_PIECE = 1 << 16  # characters; keeps memory flat on a file that is one endless line

LINES = re.compile(r"\r?\n(?:[ \t]*\r?\n)*")  # blank lines between lines hold no frame
PARAGRAPHS = re.compile(r"\r?\n(?:[ \t]*\r?\n)+")
# Published token counts include the blank lines of WikiText, so each line is a frame here;
# a literal end mark ends one too, with the line break after it if there is one.
PRETOKENIZED_LINES = re.compile(r"[ \t]*(?<!\S)(?:<eos>|</s>)(?!\S)[ \t]*(?:\r?\n)?|[ \t]*\r?\n")
ONLY_PYTHON_SPACE = "\x1c\x1d\x1e\x1f"
BLANK = " \t\r\n"  # what separators are made of, end marks aside
BLANK_LINE = re.compile(r"\S[^\S\n]*\n[^\S\n]*\n\s*\S")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a frame, at most `MAX_PIECE` characters.

    All `text` and `gap` in a row are the original text: a gap parts frames and is not encoded.
    """

    text: str
    gap: str
    opens: bool  # <start> comes before it
    closes: bool  # <stop> comes after it

    @property
    def num_chars(self) -> int:
        return len(self.text) + len(self.gap)

    def cut(self, position: int) -> tuple["Piece", "Piece"]:
        """Two pieces of the same frame, the second beginning at `position` of the text."""
        head = replace(self, text=self.text[:position], gap="", closes=False)
        return head, replace(self, text=self.text[position:], opens=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Framing:
    """How a text is cut into frames."""

    frame: Frame
    pretokenized: bool = False

    @property
    def separator(self) -> re.Pattern[str] | None:
        """What lies between frames; None: nothing does, a file is one frame."""
        match self.frame:
            case "line":
                return PRETOKENIZED_LINES if self.pretokenized else LINES
            case "paragraph":
                return PARAGRAPHS
            case "document":
                return None

    @property
    def keeps_blank(self) -> bool:
        """Whether a frame may hold no token at all."""
        return self.pretokenized and self.frame == "line"


def frame_pieces(texts: Iterable[str], framing: Framing) -> Iterator[Piece]:
    """Cut one document, given in chunks, into the pieces of its frames."""
    buffer, opens = "", True
    for chunk in texts:
        buffer += chunk
        # A separator at the end may go on in the next chunk.
        limit = len(buffer.rstrip(BLANK))
        buffer, opens = yield from separate(buffer, opens, framing, limit)
        while len(buffer) > 2 * MAX_PIECE:
            text, buffer = split_before_space(buffer)
            yield Piece(text, "", opens, False)
            opens = False
    buffer, opens = yield from separate(buffer, opens, framing, len(buffer) + 1)
    if buffer or not opens:
        yield from close_frame(buffer, "", opens, framing)


def separate(
    buffer: str, opens: bool, framing: Framing, limit: int
) -> Generator[Piece, None, tuple[str, bool]]:
    """Yield the frames that a separator closes before `limit`; return the rest, and its `opens`."""
    position = 0
    for match in framing.separator.finditer(buffer) if framing.separator else ():
        if match.end() >= limit:
            break
        yield from close_frame(buffer[position : match.start()], match[0], opens, framing)
        position, opens = match.end(), True
    return buffer[position:], opens


def close_frame(text: str, gap: str, opens: bool, framing: Framing) -> Iterator[Piece]:
    """The last pieces of a frame; blank text between separators is a gap and no frame."""
    if opens and not framing.keeps_blank and not text.strip() and framing.frame != "document":
        yield Piece("", text + gap, False, False)
        return
    while len(text) > MAX_PIECE:
        head, text = split_before_space(text)
        yield Piece(head, "", opens, False)
        opens = False
    yield Piece(text, gap, opens, True)


def split_before_space(text: str) -> tuple[str, str]:
    """Cut at most `MAX_PIECE` characters off, where no word and no BPE token is cut in two.

    That is before white space that follows something else; a longer run without white space is
    cut at its `MAX_PIECE`th character.
    """
    places = (place for place in range(MAX_PIECE, 0, -1) if parts_words(text, place))
    place = next(places, MAX_PIECE)
    return text[:place], text[place:]


def parts_words(text: str, place: int) -> bool:
    """Whether white space begins there, for Python and for the tokenizers' libraries alike."""
    space, before = text[place], text[place - 1]
    return space.isspace() and space not in ONLY_PYTHON_SPACE and not before.isspace()


def has_blank_line(text: str) -> bool:
    """Whether an empty line parts two paragraphs of `text`."""
    return BLANK_LINE.search(text) is not None
