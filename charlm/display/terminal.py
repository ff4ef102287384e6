"""Standard output on a terminal: texts that are printed there are shown, never obeyed.

Into a pipe or a file they go byte for byte.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any, TextIO

from charlm.display.printable import printable


class TerminalText:
    """A stream to a terminal that spells out control characters; otherwise the stream it wraps."""

    def __init__(self, stream: TextIO) -> None:
        """Wrap `stream`."""
        self.stream = stream
        self._held = ""  # a carriage return, until it is known whether a line break follows

    def write(self, text: str) -> int:
        """Write text, and return how many characters of it."""
        whole = self._held + text
        self._held = "\r" if whole.endswith("\r") else ""
        self.stream.write(printable(whole.removesuffix("\r")))
        return len(text)

    def finish(self) -> None:
        """Write a carriage return that nothing has followed."""
        held, self._held = self._held, ""
        self.stream.write(printable(held))

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts in a row."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def text_on_terminal() -> Iterator[None]:
    """Spell out control characters on standard output while the block runs, if it is a terminal."""
    stream = sys.stdout
    if not stream.isatty():
        yield
        return
    sys.stdout = text = TerminalText(stream)
    try:
        yield
        text.finish()
    finally:
        sys.stdout = stream


def painted_stdout() -> IO[str] | None:
    """Where a console paints that spells out control characters itself; None: standard output."""
    return sys.stdout.stream if isinstance(sys.stdout, TerminalText) else None
