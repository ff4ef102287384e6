"""Lines of a file that know their number, so that errors can name the place."""

from collections.abc import Iterable, Iterator
from itertools import islice

from charlm.errors import TextError

LONGEST_QUOTE = 40  # characters


class NumberedLines:
    """The lines of one file, one after the other or many at a time."""

    def __init__(self, lines: Iterable[str], name: str) -> None:
        self._lines: Iterator[str] = iter(lines)
        self.name = name
        self.number = 0  # of the line read last

    def take(self, limit: int) -> list[str]:
        """The next lines, fewer at the end."""
        taken = list(islice(self._lines, limit))
        self.number += len(taken)
        return taken

    def next_filled(self, expected: str) -> str:
        """The next line that is not blank, without the white space around it.

        Raises:
            TextError: there is none.
        """
        while taken := self.take(1):
            if line := taken[0].strip(" \t\r\n"):
                return line
        raise self.cut_short(expected)

    def cut_short(self, expected: str) -> TextError:
        """The error of a file that ends too early."""
        return TextError(f"{self.name} ends before {expected}; write or fetch it again.")

    def damage(self, what: str, number: int | None = None) -> TextError:
        """The error of a line that is wrong: the one read last, or that of a number."""
        place = f"{self.name}, line {self.number if number is None else number}"
        return TextError(f"{place}: {what}; the file is damaged, write or fetch it again.")


def quote(text: str) -> str:
    """What stands in a file, as a message may show it: short, in one line."""
    if len(text) > LONGEST_QUOTE:
        text = text[:LONGEST_QUOTE] + "..."
    return f"'{text}'" if text.isprintable() else repr(text)
