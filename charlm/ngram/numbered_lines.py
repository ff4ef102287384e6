"""Lines of a file with their numbers, so that errors can name the line."""

from collections.abc import Iterable, Iterator
from itertools import islice

from charlm.errors import TextError

LONGEST_QUOTE = 40  # characters


class NumberedLines:
    """The lines of one file, read one at a time or in batches."""

    def __init__(self, lines: Iterable[str], name: str) -> None:
        self._lines: Iterator[str] = iter(lines)
        self.name = name
        self.number = 0  # of the line read last

    def take(self, limit: int) -> list[str]:
        """Return the next `limit` lines, or fewer at the end of the file."""
        taken = list(islice(self._lines, limit))
        self.number += len(taken)
        return taken

    def next_filled(self, expected: str) -> str:
        """Return the next line that is not blank, without surrounding white space.

        Raises:
            TextError: the file has no such line; the message names what was `expected`.
        """
        while taken := self.take(1):
            if line := taken[0].strip(" \t\r\n"):
                return line
        raise self.cut_short(expected)

    def cut_short(self, expected: str) -> TextError:
        """Return the error for a file that ends before `expected`."""
        return TextError(f"{self.name} ends before {expected}; write or fetch it again.")

    def damage(self, what: str, number: int | None = None) -> TextError:
        """Return the error for a damaged line: line `number`, or the line read last."""
        place = f"{self.name}, line {self.number if number is None else number}"
        return TextError(f"{place}: {what}; the file is damaged, write or fetch it again.")


def quote(text: str) -> str:
    """Return text quoted for a message, shortened and on one line."""
    if len(text) > LONGEST_QUOTE:
        text = text[:LONGEST_QUOTE] + "..."
    return f"'{text}'" if text.isprintable() else repr(text)
