"""Escaping of control characters on standard output if it is a terminal.

Output to a pipe or a file is not changed.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import IO, Any, TextIO

from charlm.display.printable import printable


class TerminalText:
    """Wrapper around a terminal stream that escapes control characters in what is written.

    All other attributes are those of the wrapped stream.
    """

    def __init__(self, stream: TextIO) -> None:
        """Wrap `stream`."""
        self.stream = stream
        self._held = ""  # a carriage return that may turn out to be part of a `\r\n`

    def write(self, text: str) -> int:
        """Write text and return its number of characters."""
        whole = self._held + text
        self._held = "\r" if whole.endswith("\r") else ""
        self.stream.write(printable(whole.removesuffix("\r")))
        return len(text)

    def finish(self) -> None:
        """Write a carriage return that is still held back, if there is one."""
        held, self._held = self._held, ""
        self.stream.write(printable(held))

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts one after another."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def text_on_terminal() -> Iterator[None]:
    """Escape control characters on standard output within the block, if it is a terminal."""
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
    """Return the stream for a console that escapes control characters itself.

    Return None if standard output is not wrapped, so that the console uses it directly.
    """
    return sys.stdout.stream if isinstance(sys.stdout, TerminalText) else None
