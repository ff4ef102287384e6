"""Tables of vocabularies, checkpoints and other fields. Needs no torch."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from charlm.display.console import data_console
from charlm.display.fitting import print_table
from charlm.display.printable import JOINERS, escaped


def show_vocabulary(
    rows: Sequence[tuple[int, str, int]], total: int, coverage: Sequence[tuple[int, float]]
) -> None:
    """Print tokens by frequency, then the share of the text that the most frequent ones cover.

    Args:
        rows: (rank, token, count) of each token.
        total: number of tokens in the text.
        coverage: (number of most frequent tokens, share of the text that they cover).
    """
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("rank", "token", "count", "share", "together"):
        left = heading == "token"
        table.add_column(heading, justify="left" if left else "right", no_wrap=not left)
    together = 0
    for rank, token, count in rows:
        together += count
        shares = (f"{count / max(total, 1):.2%}", f"{together / max(total, 1):.2%}")
        table.add_row(f"{rank:,}", visible(token), f"{count:,}", *shares)
    console = data_console()
    print_table(console, table)
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("the first", justify="right")
    table.add_column("cover", justify="right")
    for size, share in coverage:
        table.add_row(f"{size:,}", f"{share:.2%}")
    console.print(table)


def show_ids(rows: Sequence[tuple[int, str]], title: str) -> None:
    """Print a table of (id, token) rows."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("id", justify="right")
    table.add_column("token", overflow="fold")
    for index, token in rows:
        table.add_row(f"{index:,}", visible(token))
    print_table(data_console(), table)


def show_tokens(tokens: Iterable[tuple[int, str]]) -> None:
    """Print (id, token) pairs as running text."""
    line = Text()
    for index, token in tokens:
        line.append(f"{index}", style="bold")
        line.append(f" {visible(token)}  ", style="dim")
    data_console().print(line, soft_wrap=False)


def show_fields(title: str, fields: Mapping[str, Any]) -> None:
    """Print a table of names and values."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE, show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in fields.items():
        table.add_row(name, number(value) if isinstance(value, (int, float)) else str(value))
    data_console().print(table)


def show_counts(title: str, rows: Sequence[tuple[str, str, int]]) -> None:
    """Print a table of (part, formula, count) rows and their total."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE, show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column()
    for part, formula, count in rows:
        table.add_row(part, f"{count:,}", f"= {formula}")
    table.add_row("all", f"{sum(count for *_, count in rows):,}", "")
    data_console().print(table)


def show_checkpoints(rows: Sequence[tuple[Path, Mapping[str, Any]]]) -> None:
    """Print a table of checkpoints in the given order."""
    table = Table(box=box.SIMPLE_HEAD)
    names = ("checkpoint", "tokens", "model", "step", "valid nats", "written")
    for name in names:
        figure = name in ("step", "valid nats")
        table.add_column(name, justify="right" if figure else "left", no_wrap=figure)
    for folder, fields in rows:
        table.add_row(str(folder), *(str(fields.get(name, "")) for name in names[1:]))
    print_table(data_console(), table)


def visible(token: str) -> str:
    """Make white space and control characters of a token visible; keep joiners within it."""
    shown = token.replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")
    inner = range(1, len(shown) - 1)
    return "".join(
        c if c.isprintable() or (c in JOINERS and at in inner) else escaped(c)
        for at, c in enumerate(shown)
    )


def number(value: float) -> str:
    """Format an integer with thousands separators, or a float with four decimals.

    A float of 10,000 or more has one decimal.
    """
    if isinstance(value, int):
        return f"{value:,}"
    if math.isnan(value) or math.isinf(value):
        return str(value)
    return f"{value:,.4f}" if abs(value) < 10_000 else f"{value:,.1f}"


def when(seconds: float) -> str:
    """Format a Unix timestamp as local date and time."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
