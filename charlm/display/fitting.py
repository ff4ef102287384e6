"""Tables that fit a narrow terminal: without edges, or with columns stacked below one another."""

from collections.abc import Iterable

from rich.cells import set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

FOLDED = 8  # minimum width, in cells, of a column whose text may be broken anywhere


def print_table(console: Console, table: Table) -> None:
    """Print a table so that no number is cut: unchanged, without edges, or stacked.

    In the stacked layout, the first cell of each row is followed by one line for each other column
    that is not empty.
    """
    for column in table.columns:
        if column.no_wrap:  # rich computes the minimum width as if the column could wrap
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
    """Return whether every column has room for its longest word or its `min_width`.

    A column that folds needs at most 8 cells or its `min_width`.
    """
    needed = 0
    for column in table.columns:
        words = [as_text(each).plain.split() for each in (column.header, *column.cells)]
        longest = width_of([word for each in words for word in each])
        if column.overflow == "fold":
            longest = min(longest, FOLDED)
        needed += max(longest, column.min_width or 0)
    count = len(table.columns)  # each has a cell of padding on either side, and a separator
    needed += 3 * count + 1 if table.show_edge else 3 * count - 3
    return needed <= console.width


def width_of(parts: Iterable[object]) -> int:
    """Return the width of the widest line of several texts, in cells."""
    lines = (line for part in parts for line in as_text(part).split("\n"))
    return max((line.cell_len for line in lines), default=0)


def as_text(cell: object) -> Text:
    """Return a cell or heading as `Text`; a string is not parsed as markup."""
    return cell.copy() if isinstance(cell, Text) else Text(str(cell))
