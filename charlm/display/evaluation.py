"""An evaluation as a table."""

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from charlm.display.console import data_console
from charlm.display.tables import number
from charlm.evaluation import Evaluation

EXPLAINED = {
    "perplexity": "exp(nats per token)",
    "perplexity_excluding_other": "over the tokens that are not <other>",
    "ppl1": "<stop> not counted as a token, as SRILM's ppl1",
    "nats_per_token": "each token once, with all before it as context",
    "bits_per_token": "",
    "bits_per_char": "per code point of the text: compares models of any level",
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


def show_evaluation(result: Evaluation, title: str) -> None:
    """All measures with what they mean."""
    table = Table(
        title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, title_style="bold"
    )
    table.add_column("measure")
    table.add_column("value", justify="right", style="bold")
    table.add_column("meaning", style="dim")
    for name, value in result.to_dict().items():
        table.add_row(name, number(value), Text(EXPLAINED[name]))
    data_console().print(table)
