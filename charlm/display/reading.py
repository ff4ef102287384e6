"""Progress bar for scoring a text, shown on stderr if that is a terminal."""

from collections.abc import Iterator

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from charlm.display.console import progress_console
from charlm.evaluation import TokenScores


def show_reading(
    scores: Iterator[TokenScores], num_tokens: int, text: str
) -> Iterator[TokenScores]:
    """Yield the scores unchanged while showing a progress bar, which disappears at the end.

    Args:
        scores: scores of consecutive parts of a text.
        num_tokens: total number of tokens, or slightly more.
        text: name of the text.
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
