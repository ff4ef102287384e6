"""Escaping of text for terminals, so that it cannot control them.

These are written as Python escapes: C0 and C1 control characters, such as those that begin escape
sequences; bidirectional overrides and isolates, which can disguise a line as another; line
separators; and bytes that are not valid UTF-8. Combining marks, joiners and the marks of Arabic
and Hebrew are kept, because they are part of ordinary text.
"""

import re

UNSAFE = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u206f\ud800-\udfff]"
)
JOINERS = "\u200c\u200d"  # used within Persian words and emoji
BREAKS = re.compile("[\t\n]")


def printable(text: str, *, lines: bool = True) -> str:
    """Escape control characters; keep line breaks and tabs if `lines` is true.

    With `lines`, `\\r\\n` is converted to `\\n`.
    """
    if lines:
        text = text.replace("\r\n", "\n")
    text = UNSAFE.sub(lambda match: escaped(match[0]), text)
    return text if lines else BREAKS.sub(lambda match: escaped(match[0]), text)


def escaped(character: str) -> str:
    """Return the Python escape of an unprintable character; a surrogate escape is `\\xhh`."""
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"  # a byte that is not valid UTF-8
    return character.encode("unicode_escape").decode()


def shortened(line: str, length: int) -> str:
    """Return the line, with the middle replaced by an ellipsis if it is longer than `length`."""
    if len(line) <= length:
        return line
    end = (length - 1) // 2  # the end is kept because messages end with what to do
    return f"{line[: length - 1 - end]}…{line[len(line) - end :]}"
