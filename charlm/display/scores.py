"""Aligned terminal table of the scores of tokens, words, sentences or lines."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from rich.cells import cell_len, set_cell_size

from charlm.display.console import data_console
from charlm.display.tables import visible

Row = Mapping[str, str | int | float | None]

BLOCK = 100  # rows aligned at a time, so that output starts before all rows are known
GAP = "  "
WRITTEN = ("token", "text", "file")  # columns that contain text and may be truncated
HEADINGS: dict[str, str] = {
    "sentence_id": "sent",
    "token_id": "no",
    "line_id": "line",
    "num_tokens": "tokens",
}
HEADINGS |= {"surprisal": "bits", "char_start": "from", "char_end": "to"}
# Columns in the order in which they are dropped on a narrow terminal. Token, text and surprisal
# are always shown.
SPARED: tuple[str, ...] = (
    "char_end",
    "char_start",
    "file",
    "other",
    "token_id",
    "line_id",
    "sentence_id",
)
SPARED += ("entropy", "rank", "num_tokens")
LEAST_TEXT = 12  # minimum width, in cells, of a text column while other columns can be dropped


def show_rows(names: Sequence[str], rows: Iterable[Row]) -> None:
    """Print rows as they arrive, with as many columns as fit on the terminal.

    Args:
        names: names of the columns, in order.
        rows: mappings from column name to value.
    """
    console = data_console()
    for line in aligned(names, rows, console.width):
        console.print(line, markup=False, no_wrap=True, overflow="ignore", crop=False)


def aligned(names: Sequence[str], rows: Iterable[Row], width: int) -> Iterator[str]:
    """Yield the lines of the table, headings first, for a terminal of `width` cells."""
    rows = iter(rows)
    widths: dict[str, int] = {}
    while block := list(islice(rows, BLOCK)):
        cells = [{name: cell(row.get(name)) for name in names} for row in block]
        if not widths:
            widths = fit(names, cells, width)
            yield line({name: HEADINGS.get(name, name) for name in widths}, widths)
        for name in widths:
            if name not in WRITTEN:
                widths[name] = max(widths[name], *(len(each[name]) for each in cells))
        if needed(widths) > width:  # later rows may have more digits than the first
            cut = next(name for name in reversed(widths) if name in WRITTEN)
            widths[cut] = max(1, widths[cut] - needed(widths) + width)
        for name in (name for name in widths if name in WRITTEN):
            wider = max(cell_len(each[name]) for each in cells) - widths[name]
            widths[name] += max(0, min(wider, width - needed(widths)))
        for each in cells:
            yield line(each, widths)
    if not widths:
        yield GAP.join(HEADINGS.get(name, name) for name in names)


def fit(names: Sequence[str], cells: Sequence[Mapping[str, str]], width: int) -> dict[str, int]:
    """Return the columns that fit and their widths in cells; text columns get the remaining space.

    Args:
        names: names of the columns, in order.
        cells: the first rows, formatted, which determine the widths.
        width: width of the terminal in cells.
    """
    widths = {
        name: max(len(HEADINGS.get(name, name)), *(cell_len(each[name]) for each in cells))
        for name in names
    }
    spared = sorted(
        (name for name in SPARED if name in widths),
        key=lambda name: any(each[name] for each in cells),  # empty columns are dropped first
    )
    while (
        spared
        and needed(
            {
                name: min(size, LEAST_TEXT) if name in WRITTEN else size
                for name, size in widths.items()
            }
        )
        > width
    ):
        del widths[spared.pop(0)]
    texts = [name for name in widths if name in WRITTEN]
    for name in reversed(texts):
        over = needed(widths) - width
        if over > 0:
            widths[name] = max(min(widths[name], LEAST_TEXT), widths[name] - over)
    return widths


def needed(widths: Mapping[str, int]) -> int:
    """Return the total width of a line in cells, gaps included."""
    return sum(widths.values()) + len(GAP) * (len(widths) - 1)


def line(cells: Mapping[str, str], widths: Mapping[str, int]) -> str:
    """Return one line of the table, with text aligned left and numbers aligned right."""
    parts = []
    for name, size in widths.items():
        text = cells[name]
        if name in WRITTEN:
            if cell_len(text) > size:
                text = set_cell_size(text, max(0, size - 1)) + "…"
            parts.append(set_cell_size(text, size))
        else:
            parts.append(text.rjust(size))
    return GAP.join(parts).rstrip()


def cell(value: str | int | float | None) -> str:
    """Format a value for display: two decimals for floats, visible white space in text."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}"
    return visible(value) if isinstance(value, str) else str(value)
