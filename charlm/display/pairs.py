"""Table of a model's results on minimal pairs."""

from rich import box
from rich.table import Table

from charlm.display.console import data_console
from charlm.display.fitting import print_table
from charlm.evaluation import GroupedPairScores, PairScores


def show_pairs(scores: GroupedPairScores, title: str) -> None:
    """Print the accuracy of each named group and of all pairs."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
    table.add_column("pairs of", overflow="fold")
    for heading in ("pairs", "right", "ties", "accuracy", "bits"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, group in scores.groups.items():
        if name:
            table.add_row(name, *cells(group))
    if table.row_count:
        table.add_section()
    table.add_row("all groups" if table.row_count else "all", *cells(scores.together), style="bold")
    console = data_console()
    print_table(console, table)
    console.print("accuracy: a tie counts half; bits: log2 P(good) - log2 P(bad), on average")


def cells(scores: PairScores) -> tuple[str, ...]:
    """Return the table cells of a group of pairs: counts, accuracy and mean difference in bits."""
    return (
        f"{scores.num_pairs:,}",
        f"{scores.num_right:,}",
        f"{scores.num_ties:,}",
        f"{scores.accuracy:.2%}",
        f"{scores.bits_per_pair:+.3f}",
    )
