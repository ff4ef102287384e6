"""Tables on narrow terminals: no figure is cut."""

import io

import pytest
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from charlm.display.fitting import print_table


def lines_at(width):
    table = Table(title="scores", box=box.SIMPLE_HEAD)
    table.add_column("model")
    for heading in ("nats per\ntoken", "perplexity"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row(Text("a[b]"), "1.2345", "1,234,567.8901")
    table.add_row(Text("second"), "", "7.0")
    console = Console(file=io.StringIO(), width=width)
    print_table(console, table)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 40, 38, 37, 36, 35, 34, 30])
def test_no_figure_is_cut_and_no_line_is_too_long(width):
    lines = lines_at(width)

    assert all(len(line) <= width for line in lines)
    text = "\n".join(lines)
    assert all(part in text for part in ("a[b]", "1.2345", "1,234,567.8901", "second", "7.0"))


def test_what_is_too_wide_is_stacked_with_its_headings():
    assert "second" in lines_at(33)
    assert "  nats per token  1.2345" in lines_at(33)
    assert not any(line.startswith("  nats per token  ") for line in lines_at(80))
