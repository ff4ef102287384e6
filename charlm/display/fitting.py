"""Tables that fit a narrow terminal: without edges, else with the columns below one another."""

from collections.abc import Iterable

from rich.cells import set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

FOLDED = 8  # cells are enough for a text that may be cut anywhere into lines


def print_table(console: Console, table: Table) -> None:
    """Print a table so that no figure is cut: as it is, without edges, or stacked.

    Stacked, the first cell of each row is followed by a line for each other column.
    """
    for column in table.columns:
        if column.no_wrap:  # which rich counts as if it could wrap
            column.min_width = width_of([column.header, *column.cells])
    if not fits(console, table):
        table.show_edge, table.pad_edge = False, False
    if fits(console, table):
        console.print(table)
        return
    headings = [as_text(column.header).plain.replace("\n", " ") for column in table.columns]
    size = width_of(headings)
    if table.title:
        console.print(table.title)
    for row in zip(*(column.cells for column in table.columns), strict=True):
        first, *rest = (as_text(each) for each in row)
        first.stylize("bold")
        console.print(first)
        for heading, cell in zip(headings[1:], rest, strict=True):
            if cell.plain:
                shown = f"  {set_cell_size(heading, size)}  "
                console.print(Text(shown, style="dim").append_text(cell))
    if table.caption:
        console.print(table.caption)


def fits(console: Console, table: Table) -> bool:
    """Whether every column has room for its longest word, or line where it does not wrap.

    A column that folds needs no more than its `min_width`, or some cells.
    """
    needed = 0
    for column in table.columns:
        words = [as_text(each).plain.split() for each in (column.header, *column.cells)]
        longest = width_of([word for each in words for word in each])
        if column.overflow == "fold":
            longest = min(longest, FOLDED)
        needed += max(longest, column.min_width or 0)
    count = len(table.columns)  # a cell on either side of each, and a line between two
    needed += 3 * count + 1 if table.show_edge else 3 * count - 3
    return needed <= console.width


def width_of(parts: Iterable[object]) -> int:
    """The cells that the widest line of some texts takes."""
    lines = (line for part in parts for line in as_text(part).split("\n"))
    return max((line.cell_len for line in lines), default=0)


def as_text(cell: object) -> Text:
    """A cell or a heading as text; a string is never markup, as on a `TextConsole`."""
    return cell.copy() if isinstance(cell, Text) else Text(str(cell))
