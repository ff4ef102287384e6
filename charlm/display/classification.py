"""Tables of classified texts and confusion matrices."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from charlm.api import Classified, Confusion
from charlm.display.console import data_console
from charlm.display.fitting import print_table
from charlm.display.tables import visible

MOST_LABELS = 12  # with more labels, only the probability of the predicted one is shown


def show_classified(found: Sequence[tuple[str, Classified]]) -> None:
    """Print one row per text: predicted label, label probabilities and text.

    With more than 12 labels, only the probability of the predicted label is shown.
    """
    table = Table(box=box.SIMPLE_HEAD)
    names = list(found[0][1].probabilities) if found else []
    shown = names if len(names) <= MOST_LABELS else []
    table.add_column("label", style="bold")
    for name in shown or ["P"]:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("text", overflow="fold")
    for text, each in found:
        values = [each.probabilities[name] for name in shown or [each.label]]
        table.add_row(each.label, *(f"{value:.2%}" for value in values), visible(text))
    print_table(data_console(), table)


def show_confusion(confusion: Confusion, text: str) -> None:
    """Print the confusion matrix and accuracy; rows are true labels, columns predicted ones."""
    title = f"{text}: own label (rows) and given label (columns)"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("")
    for name in confusion.labels:
        table.add_column(name, justify="right", no_wrap=True)
    for index, (name, row) in enumerate(zip(confusion.labels, confusion.counts, strict=True)):
        cells = (
            Text(f"{count:,}", style="bold" if column == index else "")
            for column, count in enumerate(row.tolist())
        )
        table.add_row(name, *cells)
    console = data_console()
    print_table(console, table)
    console.print(
        f"accuracy {confusion.accuracy:.2%} of {confusion.num_frames:,} frames; the most frequent "
        f"label alone: {confusion.chance:.2%}"
    )
