"""Frames, delimited by `<start>` and `<stop>`, as a stream of pieces."""

import re
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from charlm.text import TOKEN_START

Frame = Literal["line", "paragraph", "document"]

LineEndings = Literal["any", "lf"]

MAX_PIECE = 1 << 16  # characters; bounds the memory use for a file that is one long line
MAX_WORD = 1 << 20  # characters; a longer run without white space is cut

# Quantifiers are possessive: backtracking would be slow on a text that is mostly line breaks.
ENDING = r"(?>\r\n|\n|\r)"
LINES = re.compile(rf"{ENDING}(?:[ \t]*+{ENDING})*+")  # blank lines are not frames
PARAGRAPH_BREAK = re.compile(rf"{ENDING}(?:[ \t]*+{ENDING})++")
PARAGRAPHS = re.compile(rf"{PARAGRAPH_BREAK.pattern}|{ENDING}[ \t]*+\Z")
# The rules of earlier versions of charlm, for their checkpoints.
LF_LINES = re.compile(r"\r?+\n(?:[ \t]*+\r?+\n)*+")
LF_PARAGRAPHS = re.compile(r"\r?+\n(?:[ \t]*+\r?+\n)++")
# Published token counts include the blank lines of WikiText, so blank lines are frames here.
# A literal end mark also ends a frame, together with a line break that follows it.
# A run of spaces is matched from its first space only, which keeps the time linear.
PRETOKENIZED_LINES = re.compile(
    r"(?:(?<![ \t])[ \t]++)?+"
    r"(?:(?<!\S)(?:<eos>|</s>)(?!\S)[ \t]*+(?:\r?+\n)?+|\r?+\n)"
)
ONLY_PYTHON_SPACE = "\x1c\x1d\x1e\x1f"
BLANK = " \t\r\n"  # characters of separators, apart from end marks
# Places to cut: white space after another character, as in `parts_words`; starts of words.
CUT = re.compile(rf"(?<=\S)[^\S{ONLY_PYTHON_SPACE}]")
CUT_OR_START = re.compile(rf"{CUT.pattern}|{TOKEN_START.pattern}")
BLANK_LINE = re.compile(rf"\S[^\S\r\n]*{ENDING}[^\S\r\n]*{ENDING}\s*\S")


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a frame: at most `MAX_PIECE` characters, or one longer word.

    A gap separates frames and is not encoded. The concatenation of `text` and `gap` of all pieces
    is the original text.
    """

    text: str
    gap: str
    opens: bool  # <start> comes before it
    closes: bool  # <stop> comes after it

    @property
    def num_chars(self) -> int:
        return len(self.text) + len(self.gap)

    def cut(self, position: int) -> tuple["Piece", "Piece"]:
        """Split the piece in two; the second begins at character `position` of the text."""
        head = replace(self, text=self.text[:position], gap="", closes=False)
        return head, replace(self, text=self.text[position:], opens=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Framing:
    r"""Rules by which a text is cut into frames.

    A line ends with `\r\n`, `\n` or `\r`, which is not part of a frame. With line endings "lf", a
    single `\r` is text, and the last paragraph keeps its line ending.
    """

    frame: Frame
    pretokenized: bool = False
    line_endings: LineEndings = "any"

    @property
    def separator(self) -> re.Pattern[str] | None:
        """Pattern of the separator between frames; None if a file is one frame."""
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
        """Pattern of the separator in a text that may be continued, such as a prompt.

        A single line ending at the end of such a text does not end a paragraph.
        """
        return PARAGRAPH_BREAK if self.separator is PARAGRAPHS else self.separator

    @property
    def version(self) -> int:
        """Version of the rules; different versions may cut the same text into different frames."""
        return 2 if self.separator in (LINES, PARAGRAPHS) else 1

    @property
    def keeps_blank(self) -> bool:
        """Return whether a frame may have no tokens."""
        return self.pretokenized and self.frame == "line"


def frame_pieces(texts: Iterable[str], framing: Framing) -> Iterator[Piece]:
    """Yield the pieces of the frames of one document, which is given in chunks."""
    buffer, opens = "", True
    for chunk in texts:
        buffer += chunk
        # A separator at the end may continue in the next chunk.
        limit = len(buffer.rstrip(BLANK))
        buffer, opens = yield from separate(buffer, opens, framing, limit)
        while len(buffer) > 2 * MAX_PIECE:
            text, buffer = split_between_words(buffer, framing)
            if not buffer:  # the word may continue in the next chunk
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
    """Yield the pieces of all frames whose separator ends before `limit`.

    Returns:
        The remaining text, and whether it is the beginning of a frame.
    """
    position = 0
    for match in framing.separator.finditer(buffer) if framing.separator else ():
        if match.end() >= limit:
            break
        yield from close_frame(buffer[position : match.start()], match[0], opens, framing)
        position, opens = match.end(), True
    return buffer[position:], opens


def close_frame(text: str, gap: str, opens: bool, framing: Framing) -> Iterator[Piece]:
    """Yield the last pieces of a frame. Blank text between separators is a gap and not a frame."""
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
    """Split a text in two without cutting a word or, if possible, a BPE token.

    The first part has at most `MAX_PIECE` characters and ends before white space. If there is no
    such place, it ends where a word begins without white space, such as before punctuation or Han.
    If there is none either, the first part is one longer word. A word is cut only after `MAX_WORD`
    characters.

    Returns:
        Both parts. The second is empty if the text is one word of at most `MAX_WORD` characters.
    """
    places = (place for place in range(MAX_PIECE, 0, -1) if parts_words(text, place))
    place = next(places, None) or last_start(text, framing)
    if place is None:
        limit = max(MAX_PIECE, MAX_WORD)
        ahead = (CUT if framing.pretokenized else CUT_OR_START).search(text, MAX_PIECE + 1)
        place = min(limit, ahead.start() if ahead else len(text))
    return text[:place], text[place:]


def last_start(text: str, framing: Framing) -> int | None:
    """Return the last place up to `MAX_PIECE` where a word begins without white space.

    Return None if there is no such place, or if the text is pretokenized.
    """
    if framing.pretokenized:
        return None
    starts = [match.start() for match in TOKEN_START.finditer(text, 1, MAX_PIECE + 1)]
    return starts[-1] if starts else None


def parts_words(text: str, place: int) -> bool:
    """Return whether white space begins at `place`, for both Python and `tokenizers`."""
    space, before = text[place], text[place - 1]
    return space.isspace() and space not in ONLY_PYTHON_SPACE and not before.isspace()


def has_line_ending(text: str) -> bool:
    """Return whether `text` contains a line ending."""
    return "\n" in text or "\r" in text


def has_blank_line(text: str) -> bool:
    """Return whether `text` has two paragraphs separated by a blank line."""
    return BLANK_LINE.search(text) is not None
