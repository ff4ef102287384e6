"""How far the reading of a text is, on stderr, where that is a terminal."""

from collections.abc import Iterator

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from charlm.display.console import progress_console
from charlm.evaluation import TokenScores


def show_reading(
    scores: Iterator[TokenScores], num_tokens: int, text: str
) -> Iterator[TokenScores]:
    """The scores as they come, and a bar that is gone when they have.

    Args:
        scores: of a text's tokens.
        num_tokens: how many there will be, or a few more.
        text: what it is called.
    """
    console = progress_console()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(text, total=num_tokens)
        for part in scores:
            progress.advance(task, len(part))
            yield part
