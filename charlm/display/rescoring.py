"""Table of the errors before and after rescoring."""

from rich import box
from rich.table import Table

from charlm.display.console import note_console
from charlm.display.fitting import print_table
from charlm.evaluation import RATE_NAMES, Ranking, RescoringConfig, RescoringErrors

UNITS = {"word": "words", "char": "characters"}


def show_rescoring_errors(errors: RescoringErrors) -> None:
    """Print the errors of each ranking on stderr, and the flags that repeat tuned settings."""
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("ranking")
    table.add_column("errors", justify="right")
    table.add_column(RATE_NAMES[errors.unit], justify="right", style="bold")
    table.add_column("ranked by", style="dim")
    for ranking in errors.rankings:
        rate = f"{errors.rate(ranking):.2%}" if errors.num_units else "-"
        table.add_row(ranking.name, f"{ranking.errors:,}", rate, explained(ranking))
    table.caption = f"of {errors.num_units:,} {UNITS[errors.unit]} in the references"
    console = note_console()
    print_table(console, table)
    for ranking in errors.rankings:
        if ranking.name == "tuned" and ranking.config is not None:
            console.print(f"next time: {flags(ranking.config)}", markup=False)


def explained(ranking: Ranking) -> str:
    """Return a description of the settings that a ranking is based on."""
    if ranking.config is None:
        return "the references: no ranking does better"
    if ranking.name == "first pass":
        return "the recogniser's scores alone"
    return flags(ranking.config)


def flags(config: RescoringConfig) -> str:
    """Return the settings as command-line flags, in full precision."""
    return f"--scale {config.scale!r} --length-bonus {config.length_bonus!r}"
