"""Where things are painted: data on stdout, everything else on stderr.

All that is printed leaves through `TextConsole`, or through `terminal.py` where nothing is painted:
whatever a file, a name or a model holds is shown as text.
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
ERROR_CHARS = 300  # of a whole line, whatever it quotes


class TextConsole(Console):
    """A console on which text is text: no markup, no emoji names, control characters spelt out.

    Colours come from `Text` and from styles, which only charlm's own code gives.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        """Print to stdout, or to stderr."""
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
        """Make segments of something to print, as `Console` does; all that is printed comes here.

        Texts are changed before they are cut into lines, and all segments once more.
        """
        if isinstance(renderable, Text):
            renderable = printable_text(renderable)
        for segment in super().render(renderable, options):
            shown = segment.text if segment.control else printable(segment.text)
            yield segment if shown == segment.text else Segment(shown, segment.style)


def printable_text(text: Text) -> Text:
    """The same text with its styles, control characters spelt out."""
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
    """For results; plain when piped, and then wide, since nothing wraps a pipe's lines again."""
    console = TextConsole()
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def note_console() -> Console:
    """For everything that is not the result."""
    return TextConsole(stderr=True)


def progress_console() -> Console:
    """For how a run goes: on stderr, its lines broken between words on a terminal."""
    console = note_console()
    console.soft_wrap = not console.is_terminal
    return console


def show_note(message: str) -> None:
    """Something a user should know, in one line."""
    note_console().print(printable(message, lines=False), style="yellow")


def show_error(message: str) -> None:
    """Why it cannot go on, in one line of at most 300 characters."""
    line = printable(" ".join(message.split()), lines=False)
    console = note_console()
    console.print(ERROR, style="bold red", end="")
    console.print(shortened(line, ERROR_CHARS - len(ERROR)))
