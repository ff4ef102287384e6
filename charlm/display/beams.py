"""Step-by-step display of beam search: growing, finished and pruned hypotheses."""

from rich import box
from rich.table import Table
from rich.text import Text

from charlm.api import Writer
from charlm.decoding import BeamStep, Node, found_texts
from charlm.display.alternatives import lines_kept
from charlm.display.console import data_console
from charlm.display.tables import visible
from charlm.text import STOP

GROWS, FINISHED, PRUNED = "●", "■", "·"
SHOWN = 48  # maximum characters of a hypothesis before its last token; the last ones are shown


def show_beams(writer: Writer, prompt: str) -> None:
    """Run beam search, print the candidates of each step as it is made, then the texts found.

    Raises:
        ConfigError: no text was found, because every hypothesis ended in banned tokens.
    """
    console = data_console()
    finished: list[Node] = []
    for step in writer.beam_steps(prompt):
        console.print(step_table(step, writer, prompt, heading=step.length == 1 and not step.group))
        if step.done:
            finished += step.finished
    console.print(
        Text.assemble(
            *((f"{GROWS} grows   ", "bold"), (f"{FINISHED} finished   ", "bold green")),
            *((f"{PRUNED} pruned", "dim"), "     score = log P / length ^ length penalty, in nats"),
        )
    )
    console.print(found_table(finished, writer, prompt))


def step_table(step: BeamStep, writer: Writer, prompt: str, *, heading: bool) -> Table:
    """Return a table of one step's candidates, best first.

    Column widths are fixed, so the tables of successive steps line up.
    """
    name, grouped = f"{step.length}", writer.config.num_beam_groups > 1
    table = Table(box=None, show_header=heading, padding=(0, 1))
    for title, width in (("token", 14 if grouped else 5), ("log P", 9), ("score", 9)):
        table.add_column(title, justify="right", no_wrap=True, min_width=width)
    table.add_column("", no_wrap=True)
    table.add_column("text")
    if grouped:
        name += f", group {step.group + 1}"
    for node in step.candidates:
        mark, style = PRUNED, "dim"
        if node in step.finished:
            mark, style = FINISHED, "bold green"
        elif node in step.growing and not step.done:
            mark, style = GROWS, "bold"
        figures = (f"{node.log_prob:.3f}", f"{node.score:.3f}")
        table.add_row(name, *figures, mark, shown_text(node, writer, prompt), style=style)
        name = ""
    return table


def found_table(finished: list[Node], writer: Writer, prompt: str) -> Table:
    """Return a table of the texts found, best first, each in full."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("tokens", "log P", "score"):
        table.add_column(heading, justify="right")
    table.add_column("found, best first")
    for node in found_texts(finished):
        text = prompt + writer.text(prompt, node.path())
        figures = (f"{node.length}", f"{node.log_prob:.3f}", f"{node.score:.3f}")
        table.add_row(*figures, Text(lines_kept(text)))
    return table


def shown_text(node: Node, writer: Writer, prompt: str) -> Text:
    """Return the end of a hypothesis in one line, with the last token underlined."""
    tokens = node.path()
    before = prompt + writer.text(prompt, tokens[:-1])
    whole = prompt + writer.text(prompt, tokens)
    last = whole[len(before) :] if whole.startswith(before) else ""
    if writer.is_stop(tokens[-1]):
        last = STOP
    before, last = visible(before), visible(last)
    line = Text(before, no_wrap=True, overflow="ellipsis").append(last, style="underline")
    if len(before) > SHOWN:
        line = Text("…").append_text(line[-SHOWN - len(last) :])
    return line
