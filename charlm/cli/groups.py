"""Command group that escapes control characters in terminal output and in usage errors."""

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
    """Command group whose output and usage errors cannot control the terminal.

    Output is escaped only while a command runs, because typer itself prints help in colours.
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
    """Join the lines of each paragraph of a help text, because typer keeps line breaks."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def guarded(command: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a command so that its terminal output is escaped; return a wrapped one unchanged."""
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
    """Reduce the message of a usage error to one escaped line of at most 300 characters."""
    try:
        yield
    except Exception as error:
        # The error class depends on the version of typer, which may bundle its own click.
        message = getattr(error, "message", None)
        if hasattr(error, "format_message") and isinstance(message, str):
            line = printable(message, lines=False)
            error.message = shortened(line, MESSAGE_CHARS)  # type: ignore[attr-defined]
        raise
