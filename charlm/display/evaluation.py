"""Tables of evaluation results: one text, several texts, several models."""

import math
from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from charlm.api import Account, Comparison, Measured
from charlm.display.console import data_console
from charlm.display.fitting import print_table
from charlm.display.tables import number
from charlm.evaluation import MEASURES, Difference

EXPLAINED = {
    "perplexity": "exp(nats per token)",
    "perplexity_excluding_other": "of all tokens but <other>",
    "ppl1": "<stop> not counted, as in SRILM",
    "nats_per_token": "each token once",
    "bits_per_token": "",
    "bits_per_char": "compares models of any level",
    "bits_per_byte": "per byte of UTF-8",
    "total_nats": "",
    "num_tokens": "predicted: all but <start>",
    "num_other": "not in the vocabulary",
    "num_words": "runs without white space",
    "num_chars": "",
    "num_bytes": "",
    "other_rate": "num_other / num_tokens",
    "standard_error": "of nats per token",
}
WIDE = 60  # minimum terminal width, in cells, for the column that explains the measures
CHIEF = {
    "perplexity": "perplexity",
    "bits_per_char": "bits per\nchar",
    "nats_per_token": "nats per\ntoken",
    "num_tokens": "tokens",
    "num_other": "<other>",
    "num_words": "words",
}


def show_evaluation(measured: Measured, model: str) -> None:
    """Print all measures of one model on one text, with their meanings and the fingerprint."""
    table = titled(f"{model} on {called(measured)}")
    table.add_column("measure", no_wrap=True)
    table.add_column("value", justify="right", style="bold", no_wrap=True)
    console = data_console()
    wide = console.width >= WIDE
    if wide:
        table.add_column("meaning", style="dim")
    for name, value in measured.evaluation.to_dict().items():
        table.add_row(name, number(value), *([Text(EXPLAINED[name])] if wide else []))
    print_table(console, table)
    console.print(f"fingerprint {measured.fingerprint}", style="dim")


def show_texts(measured: Sequence[Measured], model: str) -> None:
    """Print the main measures of several texts, one row each; the last item is their total."""
    table = titled(model)
    table.add_column("text", overflow="fold")
    for heading in CHIEF.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for each in measured:
        values = each.evaluation.to_dict()
        if each is measured[-1]:
            table.add_section()
        table.add_row(Text(called(each)), *(number(values[name]) for name in CHIEF))
    print_table(data_console(), table)


def show_comparison(accounts: Sequence[Account], comparisons: Sequence[Comparison]) -> None:
    """Print models side by side, then the difference of each from the first.

    Args:
        accounts: results of each model on the same texts.
        comparisons: of every model but the first, with the first.
    """
    together = [account.together for account in accounts]
    table = titled("on " + ", ".join(called(each) for each in accounts[0].measured))
    table.add_column("measure", no_wrap=True)
    columns = [each.evaluation.to_dict() for each in together]
    for account, values in zip(accounts, columns, strict=True):
        least = max(len(number(values[name])) for name in MEASURES)
        table.add_column(
            Text(account.name), justify="right", style="bold", overflow="fold", min_width=least
        )
    for name in MEASURES:
        table.add_row(name, *(number(values[name]) for values in columns))
    console = data_console()
    print_table(console, table)
    for account, comparison in zip(accounts[1:], comparisons, strict=True):
        console.print(f"{account.name}, compared with {accounts[0].name}:")
        for line in difference_lines(comparison):
            console.print(f"  {line}")
    for account, each in zip(accounts, together, strict=True):
        unspelt = each.evaluation.num_other
        if unspelt and not all(comparison.comparable for comparison in comparisons):
            line = f"{account.name} is not asked to spell {unspelt:,} unknown words or characters:"
            console.print(f"{line} its bits per character are too low.")
    if all(comparison.comparable for comparison in comparisons):
        console.print(f"fingerprint {together[0].fingerprint}", style="dim")
    else:
        for account, each in zip(accounts, together, strict=True):
            line = f"fingerprint {each.fingerprint} ({account.name})"
            console.print(line, style="dim")


def difference_lines(comparison: Comparison) -> list[str]:
    """Return the lines that describe the differences between two models."""
    if not comparison.same_text:
        return ["they have not read the same text: nothing compares."]
    lines = []
    if comparison.nats_per_token is not None and comparison.comparable:
        nats = comparison.nats_per_token
        low, high = math.exp(nats.low), math.exp(nats.high)
        lines.append(f"nats per token {interval(nats)}: {verdict(nats)}")
        shown = "" if math.isnan(low) else f" (95% {low:.4f} to {high:.4f})"
        lines.append(f"perplexity x {math.exp(nats.value):.4f}{shown}")
    else:
        lines.append("not the same vocabulary or rules: only bits per character compare.")
    bits = comparison.bits_per_char
    lines.append(f"bits per character {interval(bits)}: {verdict(bits)}")
    if not math.isnan(bits.low):
        lines.append(f"paired bootstrap over {comparison.num_units:,} {comparison.unit}")
    return lines


def interval(difference: Difference) -> str:
    """Format a difference, with its 95% confidence interval if the text is long enough for one."""
    if math.isnan(difference.low):
        return f"{difference.value:+.4f}"
    return f"{difference.value:+.4f} (95% {difference.low:+.4f} to {difference.high:+.4f})"


def verdict(difference: Difference) -> str:
    """Return "better", "worse" or why neither can be said; lower surprisal is better."""
    if math.isnan(difference.low):
        return "the text is too short to tell"
    if not difference.is_clear:
        return "no clear difference"
    return "better" if difference.value < 0 else "worse"


def called(measured: Measured) -> str:
    """Return the display name of a text: "standard input" for `-`."""
    return "standard input" if measured.text == "-" else measured.text


def titled(title: str) -> Table:
    """Return an empty table with a title."""
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, title_style="bold")
