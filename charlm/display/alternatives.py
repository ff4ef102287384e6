"""Texts with what else might have been written: each token's probability and its rivals."""

import math
from collections.abc import Iterable, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from charlm.api import Choice, Generation
from charlm.display.console import data_console
from charlm.display.fitting import width_of
from charlm.display.printable import JOINERS
from charlm.display.tables import visible

# From dark blue to yellow through grey, each shade lighter than the one before: the same to all
# kinds of colour vision, as cividis is (Nunez et al. 2018), and among the 256 colours that every
# terminal has. With each, a text colour that stands out, and the probability it begins at.
SHADES = (
    (0.00, "#ffffff on #00005f"),
    (0.01, "#ffffff on #5f5f87"),
    (0.05, "#ffffff on #767676"),
    (0.20, "#000000 on #afaf87"),
    (0.50, "#000000 on #d7d75f"),
    (0.80, "#000000 on #ffff5f"),
)
BAR, SHORT_BAR = 10, 4  # characters that stand for probability 1
WIDE = 60  # cells, below which bars are short
BESIDE = 3  # cells that a column takes beyond its content
GAP = "   "  # between rivals


def show_alternatives(generations: Iterable[Generation]) -> None:
    """Each text in colours, then token by token with the most probable ones at its place."""
    console = data_console()
    for generation in generations:
        assert generation.choices is not None
        total = sum(choice.log_prob for choice in generation.choices)
        line = Text()
        line.append(lines_kept(generation.prompt), style="dim")
        for choice in generation.choices:
            text = choice.token if choice.text is None else choice.text
            line.append(lines_kept(text), style=shade(choice.log_prob))
        console.print(line, soft_wrap=False)
        if console.color_system is not None and not console.no_color:
            console.print(legend())
        console.print(table(generation.choices, console.width))
        ended = f"{counted(generation.choices)}, ended by {generation.end}"
        console.print(f"log P {total:.3f} nats, {ended}\n", markup=False)


def table(choices: Iterable[Choice], width: int) -> Table:
    """A line a token; the one that was written is underlined among its rivals.

    Where `width` is too small for all rivals in a row, they go on below.
    """
    choices, longest = list(choices), BAR if width >= WIDE else SHORT_BAR
    headings = ("token", "P", "")
    rows = [
        (
            Text(visible(choice.token), style=shade(choice.log_prob)),
            percent(choice.log_prob),
            "█" * round(longest * math.exp(choice.log_prob)),
        )
        for choice in choices
    ]
    taken = sum(map(width_of, zip(headings, *rows, strict=True)))
    taken += BESIDE * (len(headings) + 1) + 1
    lines = Table(box=box.SIMPLE_HEAD)
    for heading in headings:
        lines.add_column(heading, justify="right" if heading == "P" else "left", no_wrap=True)
    lines.add_column("most probable", overflow="fold")
    for row, choice in zip(rows, choices, strict=True):
        lines.add_row(*row, rivals(choice, width - taken))
    return lines


def rivals(choice: Choice, width: int) -> Text:
    """The most probable tokens at a place, in lines of up to `width` cells."""
    text, used = Text(), 0
    for token, log_prob in choice.alternatives:
        rival = Text()
        rival.append(visible(token), style="bold underline" if token == choice.token else "")
        rival.append(f" {percent(log_prob)}", style="dim")
        if used:
            fits = used + len(GAP) + rival.cell_len <= width
            text.append(GAP if fits else "\n")
            used = used + len(GAP) if fits else 0
        text.append_text(rival)
        used += rival.cell_len
    return text


def counted(choices: Sequence[Choice]) -> str:
    """How many tokens."""
    return f"{len(choices)} token{'' if len(choices) == 1 else 's'}"


def legend() -> Text:
    """What the shades mean."""
    line = Text("P ")
    for least, style in SHADES:
        line.append(f" {least:.0%}+ ", style=style)
    return line


def shade(log_prob: float) -> str:
    """The colours of a probability."""
    probability = math.exp(log_prob)
    return [style for least, style in SHADES if probability >= least][-1]


def percent(log_prob: float) -> str:
    """A probability, never rounded to none or all of it."""
    share = 100 * math.exp(log_prob)
    if share < 0.1:
        return "<0.1%"
    return f"{min(share, 99.9):.1f}%"


def lines_kept(token: str) -> str:
    """A token as it stands in the text, but for what would move the cursor."""
    kept = "\n" + JOINERS
    return "".join(c if c in kept or c.isprintable() else visible(c) for c in token)
