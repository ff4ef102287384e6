"""Text that a terminal shows and never obeys: control characters are spelt out.

Written as in Python are C0 and C1 control characters, such as those that begin escape sequences;
overrides and isolates of the direction of writing, which can make a line read as another; line
separators; and bytes that are no text. Combining marks, joiners and the marks of Arabic and Hebrew
stay: they are part of ordinary text.
"""

import re

UNSAFE = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u206f\ud800-\udfff]"
)
JOINERS = "\u200c\u200d"  # within Persian words and emoji
BREAKS = re.compile("[\t\n]")


def printable(text: str, *, lines: bool = True) -> str:
    """Spell out what a terminal would obey; line breaks and tabs stay if `lines`.

    A line break that is written `\\r\\n` becomes a plain one.
    """
    if lines:
        text = text.replace("\r\n", "\n")
    text = UNSAFE.sub(lambda match: escaped(match[0]), text)
    return text if lines else BREAKS.sub(lambda match: escaped(match[0]), text)


def escaped(character: str) -> str:
    """A character that cannot be printed, as Python writes it."""
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"  # a byte that is no text
    return character.encode("unicode_escape").decode()


def shortened(line: str, length: int) -> str:
    """A line of at most `length` characters: the middle of a longer one is left out."""
    if len(line) <= length:
        return line
    end = (length - 1) // 2  # what to do stands at the end of a message
    return f"{line[: length - 1 - end]}…{line[len(line) - end :]}"
