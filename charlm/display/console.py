"""Rich consoles: results on stdout, everything else on stderr.

All output goes through `TextConsole`, or through `terminal.py` where it is not formatted by rich.
Both escape control characters, so text from files, names or models cannot control the terminal.
"""

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Span, Text

from charlm.display.printable import printable, shortened
from charlm.display.terminal import painted_stdout

PIPE_WIDTH = 160
ERROR = "error: "
ERROR_CHARS = 300  # maximum length of the whole line


class TextConsole(Console):
    """Console that escapes control characters and interprets no markup or emoji names.

    Colours come only from `Text` objects and styles set by charlm itself.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        """Create a console that prints to stdout, or to stderr if `stderr` is true."""
        super().__init__(
            stderr=stderr,
            file=None if stderr else painted_stdout(),
            markup=False,
            emoji=False,
            highlight=False,
            soft_wrap=True,
        )

    def render_str(self, text: str, **settings: Any) -> Text:
        return super().render_str(printable(text), **settings)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render an object to segments, as `Console` does, with control characters escaped.

        All output passes through this method. A `Text` is escaped before it is wrapped, so that
        line widths are right; every segment is escaped again afterwards.
        """
        if isinstance(renderable, Text):
            renderable = printable_text(renderable)
        for segment in super().render(renderable, options):
            shown = segment.text if segment.control else printable(segment.text)
            yield segment if shown == segment.text else Segment(shown, segment.style)


def printable_text(text: Text) -> Text:
    """Return the text with control characters escaped and its styles kept in place."""
    plain = text.plain
    if printable(plain) == plain:
        return text
    pieces = [printable(character) for character in plain]
    places = [0]
    for piece in pieces:
        places.append(places[-1] + len(piece))
    shown = text.blank_copy("".join(pieces))
    shown.spans = [
        Span(places[span.start], places[min(span.end, len(plain))], span.style)
        for span in text.spans
    ]
    return shown


def data_console() -> Console:
    """Return the console for results; when piped, it is unstyled and 160 columns wide."""
    console = TextConsole()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def note_console() -> Console:
    """Return the console for notes and errors, on stderr."""
    return TextConsole(stderr=True)


def progress_console() -> Console:
    """Return the console for progress, on stderr; on a terminal its lines wrap between words."""
    console = note_console()
    console.soft_wrap = not console.is_terminal
    return console


def show_note(message: str) -> None:
    """Print a note for the user in one line on stderr."""
    note_console().print(printable(message, lines=False), style="yellow")


def show_error(message: str) -> None:
    """Print an error message in one line of at most 300 characters on stderr."""
    line = printable(" ".join(message.split()), lines=False)
    console = note_console()
    console.print(ERROR, style="bold red", end="")
    console.print(shortened(line, ERROR_CHARS - len(ERROR)))
