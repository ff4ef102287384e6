"""Where things are painted: data on stdout, everything else on stderr."""

from rich.console import Console

PIPE_WIDTH = 160


def data_console() -> Console:
    """For results; plain when piped, and then wide, since nothing wraps a pipe's lines again."""
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    return console


def note_console() -> Console:
    """For everything that is not the result."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def progress_console() -> Console:
    """For how a run goes: on stderr, its lines broken between words on a terminal."""
    console = note_console()
    console.soft_wrap = not console.is_terminal
    return console


def show_note(message: str) -> None:
    """Something a user should know."""
    note_console().print(message, style="yellow", markup=False)


def show_error(message: str) -> None:
    """Why it cannot go on, in one line."""
    line = " ".join(message.split())
    console = note_console()
    console.print("error: ", style="bold red", end="")
    console.print(line, markup=False)
