"""The `charlm` command: its parts, and what becomes of errors."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer

from charlm.cli import (
    classify,
    corpus,
    evaluate,
    export,
    fill,
    generate,
    info,
    play,
    plot,
    rescore,
    score,
    train,
    vocab,
)
from charlm.cli.signals import end_in_order, silence
from charlm.cli.suggesting import SuggestingGroup
from charlm.errors import CharlmError, CharlmWarning
from charlm.version import __version__

app = typer.Typer(
    help="Train a recurrent language model of your own on your own text, in minutes.",
    epilog="Begin with: charlm train corpora/tales.txt",
    no_args_is_help=True,
    cls=SuggestingGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
MORE = {"allow_extra_args": True}  # of which the command says how they become the prompt

app.command("train")(train.train)
app.command("plot")(plot.plot)
app.command("generate", context_settings=MORE)(generate.generate)
app.command("fill")(fill.fill)
app.command("play", context_settings=MORE)(play.play)
app.command("eval")(evaluate.evaluate)
app.command("score")(score.score)
app.command("classify")(classify.classify)
app.command("rescore")(rescore.rescore)
app.add_typer(vocab.app, name="vocab")
app.command("info")(info.info)
app.command("list")(info.list_all)
app.command("corpus")(corpus.corpus)
app.command("export")(export.export)


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        print(f"charlm {__version__}")
        raise typer.Exit


@app.callback()
def charlm(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Train a recurrent language model of your own on your own text, in minutes."""


def main() -> None:
    """Run the command line; errors a user can act on are one line and exit status 1."""
    share_the_processor()
    if sys.stdout is None:
        fail("standard output is closed; leave it open, or send it to /dev/null.")
    end_in_order()
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    try:
        with warnings_as_notes():
            try:
                app()
            finally:
                sys.stdout.flush()
    except CharlmError as error:
        fail(str(error))
    except BrokenPipeError:  # the reader, such as `head`, has had enough
        silence_stdout()
        sys.exit(1)
    except OSError as error:
        silence_stdout()
        what = "cannot write the result" if error.filename is None else str(error.filename)
        fail(f"{what}: {error.strerror}.")
    except (RuntimeError, MemoryError) as error:
        if not ran_out_of_memory(error):
            raise
        fail(
            "out of memory; lower --batch-size, --bptt, --hidden-size, --vocab-size, --beam or "
            "--cache-size."
        )


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Print what charlm warns of while the block runs as notes, each of them once."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", CharlmWarning)
        show = warnings.showwarning

        def show_as_note(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if not issubclass(category, CharlmWarning):
                show(message, category, *where)
                return
            from charlm.display.console import show_note

            show_note(str(message))

        warnings.showwarning = show_as_note  # type: ignore[assignment]
        yield


def share_the_processor() -> None:
    """Have torch's threads sleep soon when they wait for one another.

    libgomp, which torch computes with on Linux, spins for long by default: where another program
    uses a core as well, a training step then takes many times as long. It reads this when torch is
    imported. `benchmarks/README.md` has figures.
    """
    if os.environ.keys().isdisjoint({"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}):
        os.environ["GOMP_SPINCOUNT"] = "1000"


def fail(message: str) -> None:
    """Print one line and leave with status 1."""
    from charlm.display.console import show_error

    with suppress(OSError):  # nobody reads it
        show_error(message)
    sys.exit(1)


def silence_stdout() -> None:
    """Send what is still buffered nowhere: written again at exit, it would fail again."""
    silence(sys.stdout.fileno())


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether that was it; only torch, if it has been imported, knows."""
    if "torch" not in sys.modules:
        return isinstance(error, MemoryError)
    from charlm.device import is_out_of_memory

    return is_out_of_memory(error)
