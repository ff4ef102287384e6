"""Ways to fill blanks, the most probable first."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from charlm.api import Filling
from charlm.display.console import data_console
from charlm.display.tables import visible


def show_fillings(found: Sequence[Filling]) -> None:
    """A row each: share of what was found, log P of the whole text, fillings, text."""
    table = Table(box=box.SIMPLE_HEAD)
    blanks = len(found[0].fillings) if found else 1
    headings = ["filling"] if blanks == 1 else [f"blank {n}" for n in range(1, blanks + 1)]
    table.add_column("share", justify="right")
    table.add_column("log P", justify="right")
    for heading in (*headings, "text"):
        table.add_column(heading)
    for filling in found:
        cells = (Text(visible(part), style="bold") for part in filling.fillings)
        table.add_row(
            f"{filling.share:.1%}", f"{filling.log_prob:.2f}", *cells, Text(filling.text.strip())
        )
    data_console().print(table)
