"""Frames: what `<start>` ... `<stop>` encloses, as a stream of pieces."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

Frame = Literal["line", "paragraph", "document"]

MAX_PIECE = 1 << 16  # characters; keeps memory flat on a file that is one endless line

LINES = re.compile(r"\r?\n(?:[ \t]*\r?\n)*")  # blank lines between lines hold no frame
PARAGRAPHS = re.compile(r"\r?\n(?:[ \t]*\r?\n)+")
# Published token counts include the blank lines of WikiText, so each line is a frame here;
# a literal end mark ends one too, with the line break after it if there is one.
PRETOKENIZED_LINES = re.compile(r"[ \t]*(?<!\S)(?:<eos>|</s>)(?!\S)[ \t]*(?:\r?\n)?|[ \t]*\r?\n")
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
    separator = framing.separator
    buffer, opens = "", True
    for chunk in texts:
        buffer += chunk
        position = 0
        for match in separator.finditer(buffer) if separator else ():
            if match.end() == len(buffer):
                break  # it may go on in the next chunk
            yield from close_frame(buffer[position : match.start()], match[0], opens, framing)
            position, opens = match.end(), True
        buffer = buffer[position:]
        while len(buffer) > 2 * MAX_PIECE:
            text, buffer = split_before_space(buffer)
            yield Piece(text, "", opens, False)
            opens = False
    end = separator.search(buffer) if separator else None
    text, gap = (buffer[: end.start()], buffer[end.start() :]) if end else (buffer, "")
    if text or gap or not opens:
        yield from close_frame(text, gap, opens, framing)


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
    position = MAX_PIECE
    while position > 1 and not (text[position].isspace() and not text[position - 1].isspace()):
        position -= 1
    position = position if position > 1 else MAX_PIECE
    return text[:position], text[position:]


def has_blank_line(text: str) -> bool:
    """Whether an empty line parts two paragraphs of `text`."""
    return BLANK_LINE.search(text) is not None
