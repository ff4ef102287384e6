"""Commands that show text as text: what they print on a terminal, and what usage errors quote."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from typer.core import TyperGroup

from charlm.display.printable import printable, shortened
from charlm.display.terminal import text_on_terminal

MESSAGE_CHARS = 300
GUARDED = "is_guarded"


class TextGroup(TyperGroup):
    """A group of commands in which no text is obeyed by the terminal.

    The output of each command is guarded while it runs, and not before: typer paints help itself.
    """

    def make_context(self, *args: Any, **settings: Any) -> Any:
        with text_messages():
            return super().make_context(*args, **settings)

    def invoke(self, ctx: Any) -> Any:
        with text_messages():
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and command.help:
            command.help = filled(command.help)
        if command is not None and command.callback is not None:
            command.callback = guarded(command.callback)
        return name, command, rest


def filled(text: str) -> str:
    """The paragraphs of a help text, each in one line: typer would keep the breaks in them."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def guarded(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same command, its output on a terminal being text; one that is guarded stays as it is."""
    if hasattr(command, GUARDED):
        return command

    @wraps(command)
    def run(*args: Any, **settings: Any) -> Any:
        with text_on_terminal():
            return command(*args, **settings)

    setattr(run, GUARDED, True)
    return run


@contextmanager
def text_messages() -> Iterator[None]:
    """Make the message of a usage error one line of text, whatever it quotes."""
    try:
        yield
    except Exception as error:
        # Which class it is depends on the version of typer, which may bring a click of its own.
        message = getattr(error, "message", None)
        if hasattr(error, "format_message") and isinstance(message, str):
            line = printable(message, lines=False)
            error.message = shortened(line, MESSAGE_CHARS)  # type: ignore[attr-defined]
        raise
