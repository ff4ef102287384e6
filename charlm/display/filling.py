"""Table of candidates for blanks, the most probable first."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from charlm.api import Filling
from charlm.display.console import data_console
from charlm.display.fitting import print_table
from charlm.display.tables import visible


def show_fillings(found: Sequence[Filling]) -> None:
    """Print one row per filling, and a line that states what the probabilities refer to.

    The columns are the probability, or the share among candidates if not all fillings were tried,
    log P of the whole text in nats, the filling of each blank, and the text.
    """
    table = Table(box=box.SIMPLE_HEAD)
    blanks = len(found[0].fillings) if found else 1
    headings = ["filling"] if blanks == 1 else [f"blank {n}" for n in range(1, blanks + 1)]
    exact = bool(found) and found[0].probability is not None
    table.add_column("P" if exact else "share", justify="right", no_wrap=True)
    table.add_column("log P", justify="right", no_wrap=True)
    for heading in (*headings, "text"):
        table.add_column(heading, overflow="fold")
    for filling in found:
        cells = (Text(visible(part), style="bold") for part in filling.fillings)
        table.add_row(
            percent(filling.candidate_share),
            f"{filling.log_prob:.2f}",
            *cells,
            Text(filling.text.strip()),
        )
    console = data_console()
    print_table(console, table)
    if found:
        count = f"{found[0].num_candidates:,}"
        line = f"P: among all {count} fillings" if exact else f"share: of the {count} candidates"
        console.print(line, style="dim")


def percent(share: float) -> str:
    """Format a share as a percentage with two or more significant digits.

    With several blanks, all shares may be small.
    """
    return f"{share:.1%}" if share >= 0.01 else f"{100 * share:.2g}%"
