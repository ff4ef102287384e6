"""Frames: what `<start>` ... `<stop>` encloses, as a stream of pieces."""

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from charlm.text import TOKEN_START

Frame = Literal["line", "paragraph", "document"]

LineEndings = Literal["any", "lf"]

MAX_PIECE = 1 << 16  # characters; keeps memory flat on a file that is one endless line
MAX_WORD = 1 << 20  # characters; a longer run without white space is no word, and is cut

# Repeats are possessive: what a text of nothing but line breaks would take to backtrack is much.
ENDING = r"(?>\r\n|\n|\r)"
LINES = re.compile(rf"{ENDING}(?:[ \t]*+{ENDING})*+")  # blank lines between lines hold no frame
PARAGRAPH_BREAK = re.compile(rf"{ENDING}(?:[ \t]*+{ENDING})++")
PARAGRAPHS = re.compile(rf"{PARAGRAPH_BREAK.pattern}|{ENDING}[ \t]*+\Z")
# As checkpoints of earlier versions of charlm read their texts.
LF_LINES = re.compile(r"\r?+\n(?:[ \t]*+\r?+\n)*+")
LF_PARAGRAPHS = re.compile(r"\r?+\n(?:[ \t]*+\r?+\n)++")
# Published token counts include the blank lines of WikiText, so each line is a frame here;
# a literal end mark ends one too, with the line break after it if there is one.
# Spaces are looked at from the first one only.
PRETOKENIZED_LINES = re.compile(
    r"(?:(?<![ \t])[ \t]++)?+"
    r"(?:(?<!\S)(?:<eos>|</s>)(?!\S)[ \t]*+(?:\r?+\n)?+|\r?+\n)"
)
ONLY_PYTHON_SPACE = "\x1c\x1d\x1e\x1f"
BLANK = " \t\r\n"  # what separators are made of, end marks aside
# Where white space follows something else, as `parts_words` has it; and where a word begins.
CUT = re.compile(rf"(?<=\S)[^\S{ONLY_PYTHON_SPACE}]")
CUT_OR_START = re.compile(rf"{CUT.pattern}|{TOKEN_START.pattern}")
BLANK_LINE = re.compile(rf"\S[^\S\r\n]*{ENDING}[^\S\r\n]*{ENDING}\s*\S")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a frame: at most `MAX_PIECE` characters, or one longer word.

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
    r"""How a text is cut into frames.

    A line ends with `\r\n`, `\n` or `\r`, which is no part of a frame. With line endings "lf", a
    lone `\r` is text, and the last paragraph keeps its line ending.
    """

    frame: Frame
    pretokenized: bool = False
    line_endings: LineEndings = "any"

    @property
    def separator(self) -> re.Pattern[str] | None:
        """What lies between frames; None: nothing does, a file is one frame."""
        match self.frame:
            case "line":
                if self.pretokenized:
                    return PRETOKENIZED_LINES
                return LINES if self.line_endings == "any" else LF_LINES
            case "paragraph":
                return PARAGRAPHS if self.line_endings == "any" else LF_PARAGRAPHS
            case "document":
                return None

    @property
    def frame_break(self) -> re.Pattern[str] | None:
        """What lies between two frames of a text that may go on, as a prompt does.

        A line ending at its end does not end a paragraph yet.
        """
        return PARAGRAPH_BREAK if self.separator is PARAGRAPHS else self.separator

    @property
    def version(self) -> int:
        """Number of the rules: frames of different versions may differ on the same text."""
        return 2 if self.separator in (LINES, PARAGRAPHS) else 1

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
            text, buffer = split_between_words(buffer, framing)
            if not buffer:  # the word may go on in the next chunk
                buffer = text
                break
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
        head, rest = split_between_words(text, framing)
        if not rest:
            break
        yield Piece(head, "", opens, False)
        text, opens = rest, False
    yield Piece(text, gap, opens, True)


def split_between_words(text: str, framing: Framing) -> tuple[str, str]:
    """Cut a piece off the beginning where no word and, if possible, no BPE token is cut in two.

    That is at most `MAX_PIECE` characters, before white space that follows something else; in a
    longer run without white space where a word begins; and in a longer word after its end. Of a
    word beyond `MAX_WORD` characters that many are cut off; a shorter one is not cut, and the
    second part is then empty.
    """
    places = (place for place in range(MAX_PIECE, 0, -1) if parts_words(text, place))
    place = next(places, None) or last_start(text, framing)
    if place is None:
        limit = max(MAX_PIECE, MAX_WORD)
        ahead = (CUT if framing.pretokenized else CUT_OR_START).search(text, MAX_PIECE + 1)
        place = min(limit, ahead.start() if ahead else len(text))
    return text[:place], text[place:]


def last_start(text: str, framing: Framing) -> int | None:
    """The last place among the first `MAX_PIECE` where a word begins without white space."""
    if framing.pretokenized:
        return None
    starts = [match.start() for match in TOKEN_START.finditer(text, 1, MAX_PIECE + 1)]
    return starts[-1] if starts else None


def parts_words(text: str, place: int) -> bool:
    """Whether white space begins there, for Python and for the tokenizers' libraries alike."""
    space, before = text[place], text[place - 1]
    return space.isspace() and space not in ONLY_PYTHON_SPACE and not before.isspace()


def has_line_ending(text: str) -> bool:
    """Whether a line ends in `text`."""
    return "\n" in text or "\r" in text


def has_blank_line(text: str) -> bool:
    """Whether an empty line parts two paragraphs of `text`."""
    return BLANK_LINE.search(text) is not None
