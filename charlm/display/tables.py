"""Vocabularies and checkpoints as tables. Needs no torch."""

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
    """Tokens by frequency, then what share of the text so many of them cover.

    Args:
        rows: (rank, token, count).
        total: tokens counted.
        coverage: (number of tokens, share of the text).
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
    """Tokens of a vocabulary beside their ids."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("id", justify="right")
    table.add_column("token", overflow="fold")
    for index, token in rows:
        table.add_row(f"{index:,}", visible(token))
    print_table(data_console(), table)


def show_tokens(tokens: Iterable[tuple[int, str]]) -> None:
    """Each id with its token, in a paragraph."""
    line = Text()
    for index, token in tokens:
        line.append(f"{index}", style="bold")
        line.append(f" {visible(token)}  ", style="dim")
    data_console().print(line, soft_wrap=False)


def show_fields(title: str, fields: Mapping[str, Any]) -> None:
    """Names and values of one thing."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE, show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in fields.items():
        table.add_row(name, number(value) if isinstance(value, (int, float)) else str(value))
    data_console().print(table)


def show_counts(title: str, rows: Sequence[tuple[str, str, int]]) -> None:
    """Parts, how many each has by what formula, and all together."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE, show_header=False)
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_column()
    for part, formula, count in rows:
        table.add_row(part, f"{count:,}", f"= {formula}")
    table.add_row("all", f"{sum(count for *_, count in rows):,}", "")
    data_console().print(table)


def show_checkpoints(rows: Sequence[tuple[Path, Mapping[str, Any]]]) -> None:
    """All checkpoints, the newest first."""
    table = Table(box=box.SIMPLE_HEAD)
    names = ("checkpoint", "tokens", "model", "step", "valid nats", "written")
    for name in names:
        figure = name in ("step", "valid nats")
        table.add_column(name, justify="right" if figure else "left", no_wrap=figure)
    for folder, fields in rows:
        table.add_row(str(folder), *(str(fields.get(name, "")) for name in names[1:]))
    print_table(data_console(), table)


def visible(token: str) -> str:
    """A token with its white space and control characters made visible; joiners within it stay."""
    shown = token.replace(" ", "␣").replace("\n", "↵").replace("\t", "⇥")
    inner = range(1, len(shown) - 1)
    return "".join(
        c if c.isprintable() or (c in JOINERS and at in inner) else escaped(c)
        for at, c in enumerate(shown)
    )


def number(value: float) -> str:
    """A count with thousands separated, a rate with four or more digits."""
    if isinstance(value, int):
        return f"{value:,}"
    if math.isnan(value) or math.isinf(value):
        return str(value)
    return f"{value:,.4f}" if abs(value) < 10_000 else f"{value:,.1f}"


def when(seconds: float) -> str:
    """A moment as people write it."""
    return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
