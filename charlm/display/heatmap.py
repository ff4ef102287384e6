"""Heat map of surprisal: coloured text with bars beneath that show the same without colour."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from unicodedata import category

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from charlm.api import Shade
from charlm.display.alternatives import SHADES
from charlm.display.console import data_console
from charlm.display.printable import JOINERS
from charlm.display.tables import visible

BARS = "▁▂▃▄▅▆▇█"
# Shade of each bar: expected text is dark, surprising text is bright.
STYLES = tuple(SHADES[index][1] for index in (0, 1, 2, 3, 3, 4, 4, 5))
TAB = "⇥   "


@dataclass(frozen=True, slots=True)
class Cell:
    """Indivisible unit of terminal text: a character with its combining marks."""

    text: str
    height: int | None  # index of its bar; None: the text has no surprisal

    @property
    def width(self) -> int:
        """Width in terminal columns."""
        return cell_len(self.text)

    @property
    def style(self) -> str:
        return "" if self.height is None else STYLES[self.height]

    @property
    def bar(self) -> str:
        return self.width * (" " if self.height is None else BARS[self.height])


Line = list[Cell]
LINE_BREAK = Cell("\n", None)


def show_heatmap(
    texts: Iterable[tuple[str, Iterable[Shade]]], *, bits_per_bar: float, names: bool = False
) -> None:
    """Print coloured texts with bars beneath every line, and a legend.

    Args:
        texts: name and consecutive spans of each text.
        bits_per_bar: surprisal, in bits, per step of bar height.
        names: print the name of each text.
    """
    console = data_console()
    for name, shades in texts:
        if names:
            console.print(Text(name, style="bold"))
        for row in rows(cells(shades, bits_per_bar), console.width):
            show_row(row, console)
    console.print()
    console.print(legend(bits_per_bar))


def show_row(row: Line, console: Console) -> None:
    """Print one line of text and, unless all bars are blank, the line of its bars."""
    text = Text()
    for style, cells in groupby(row, key=lambda cell: cell.style):
        text.append("".join(cell.text for cell in cells), style=style)
    console.print(text)
    if bars := "".join(cell.bar for cell in row).rstrip():
        console.print(Text(bars, style="dim"))


def legend(bits_per_bar: float) -> Text:
    """Return the legend: the minimum surprisal, in bits, of each bar and shade."""
    line = Text("bits ")
    for height, (bar, style) in enumerate(zip(BARS, STYLES, strict=True)):
        line.append(f" {bar} {height * bits_per_bar:g}+ ", style=style)
    return line


def cells(shades: Iterable[Shade], bits_per_bar: float) -> Iterator[Cell]:
    """Yield the cells of a text, each once the next character shows that it is complete.

    A line break with a surprisal of its own is shown as `↵` at the end of the line.
    """
    last: Cell | None = None
    for shade in shades:
        height = None if shade.bits is None else bar_height(shade.bits, bits_per_bar)
        for character in shade.text:
            if character == "\r" and height is None:  # part of a line break
                continue
            if last is not None and character != "\n" and joins(last.text, character):
                last = joined(last, character, height)
                continue
            if last is not None:
                yield last
            last = None if character == "\n" else make_cell(character, height)
            if character == "\n":
                yield from [LINE_BREAK] if height is None else [Cell("↵", height), LINE_BREAK]
    if last is not None:
        yield last


def bar_height(bits: float, bits_per_bar: float) -> int:
    """Return the index of the bar for a surprisal in bits, clamped to the available bars."""
    return int(min(max(bits / bits_per_bar, 0), len(BARS) - 1))


def make_cell(character: str, height: int | None) -> Cell:
    """Return the cell of a single character."""
    shown = as_shown(character)
    on_nothing = cell_len(shown) == 0  # a combining mark needs a base character
    return Cell("◌" + shown if on_nothing else shown, height)


def joined(cell: Cell, character: str, height: int | None) -> Cell:
    """Return the cell extended by a character, with the higher of both bars."""
    heights = [h for h in (cell.height, height) if h is not None]
    return Cell(cell.text + as_shown(character), max(heights, default=None))


def as_shown(character: str) -> str:
    """Return a character as it is, or an escape for one that would move the cursor or the text."""
    if character == "\t":
        return TAB
    plain = character.isprintable() or category(character) == "Zs" or character in JOINERS
    return character if plain else visible(character)


def joins(before: str, character: str) -> bool:
    """Return whether a character is drawn as one with the text before it: marks, emoji, flags."""
    return (
        cell_len(as_shown(character)) == 0
        or before.endswith("\u200d")
        or is_skin_tone(character)
        or (is_flag_letter(character) and is_flag_letter(before))
    )


def is_skin_tone(text: str) -> bool:
    """Return whether the character is a skin tone modifier for the emoji before it."""
    return "\U0001f3fb" <= text <= "\U0001f3ff"


def is_flag_letter(text: str) -> bool:
    """Return whether the text is a regional indicator; two of them make up a flag."""
    return len(text) == 1 and "\U0001f1e6" <= text <= "\U0001f1ff"


def rows(cells: Iterable[Cell], width: int) -> Iterator[Line]:
    """Yield lines wrapped to `width` columns, each as soon as it is full.

    Lines are broken after white space where there is any.
    """
    row: Line = []
    used = 0
    for cell in cells:
        if cell is LINE_BREAK:
            yield row
            row, used = [], 0
            continue
        while row and used + cell.width > width:
            spaces = [place for place, each in enumerate(row, 1) if each.text.isspace()]
            cut = spaces[-1] if spaces else len(row)
            yield row[:cut]
            row = row[cut:]
            used = sum(each.width for each in row)
        row.append(cell)
        used += cell.width
    if row:
        yield row
