"""Display of generated texts with each token's probability and its most probable alternatives."""

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

# Minimum probability and style of each shade. The background goes from dark blue through grey to
# yellow with increasing lightness, so it reads the same with any kind of colour vision, as cividis
# does (Nunez et al. 2018). All colours are in the 256-colour palette that most terminals support.
SHADES = (
    (0.00, "#ffffff on #00005f"),
    (0.01, "#ffffff on #5f5f87"),
    (0.05, "#ffffff on #767676"),
    (0.20, "#000000 on #afaf87"),
    (0.50, "#000000 on #d7d75f"),
    (0.80, "#000000 on #ffff5f"),
)
BAR, SHORT_BAR = 10, 4  # bar length in characters at probability 1
WIDE = 60  # minimum terminal width, in cells, for long bars
BESIDE = 3  # cells of padding and border per column
GAP = "   "  # between alternatives


def show_alternatives(generations: Iterable[Generation]) -> None:
    """Print each text coloured by probability, then a table of its tokens and alternatives.

    Every generation must have `choices`.
    """
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
    """Return a table with one row per token, the generated token underlined among alternatives.

    Alternatives that do not fit into `width` cells wrap onto further lines.
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
    """Return the most probable tokens at one position, in lines of at most `width` cells."""
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
    """Return the number of tokens as text, such as `1 token` or `5 tokens`."""
    return f"{len(choices)} token{'' if len(choices) == 1 else 's'}"


def legend() -> Text:
    """Return the legend of the shades: the minimum probability of each."""
    line = Text("P ")
    for least, style in SHADES:
        line.append(f" {least:.0%}+ ", style=style)
    return line


def shade(log_prob: float) -> str:
    """Return the style for a token's log probability, in nats."""
    probability = math.exp(log_prob)
    return [style for least, style in SHADES if probability >= least][-1]


def percent(log_prob: float) -> str:
    """Format a log probability as a percentage, never rounded to 0% or 100%."""
    share = 100 * math.exp(log_prob)
    if share < 0.1:
        return "<0.1%"
    return f"{min(share, 99.9):.1f}%"


def lines_kept(token: str) -> str:
    """Return a token as it appears in the text, with characters that move the cursor escaped.

    Line breaks and joiners are kept.
    """
    kept = "\n" + JOINERS
    return "".join(c if c in kept or c.isprintable() else visible(c) for c in token)
