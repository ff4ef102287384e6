"""The `charlm` command: its subcommands and error handling."""

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
MORE = {"allow_extra_args": True}  # the command rejects them and suggests --prompt

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
    """Print the version and exit, if `wanted`."""
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
    """Run the command line; print errors that the user can act on in one line, with status 1."""
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
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        silence_stdout()
        sys.exit(1)
    except OSError as error:
        silence_stdout()
        what = "cannot write the result" if error.filename is None else str(error.filename)
        fail(f"{what}: {error.strerror or error}.")
    except (RuntimeError, MemoryError) as error:
        if not ran_out_of_memory(error):
            raise
        fail(
            "out of memory; lower --batch-size, --bptt, --hidden-size, --vocab-size, --beam or "
            "--cache-size."
        )


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Print each `CharlmWarning` issued within the block once, as a note."""
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
    """Limit busy-waiting of torch's threads, unless the user has configured it.

    libgomp, the OpenMP runtime of torch on Linux, spins for a long time by default. If another
    program uses one of the cores, a training step then takes many times as long. libgomp reads the
    variable when torch is imported. See `benchmarks/README.md` for measurements.
    """
    if os.environ.keys().isdisjoint({"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}):
        os.environ["GOMP_SPINCOUNT"] = "1000"


def fail(message: str) -> None:
    """Print an error message in one line and exit with status 1."""
    from charlm.display.console import show_error

    with suppress(OSError):  # stderr is closed
        show_error(message)
    sys.exit(1)


def silence_stdout() -> None:
    """Discard buffered output, because flushing it at exit would fail again."""
    silence(sys.stdout.fileno())


def ran_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, on the device or in the process."""
    if "torch" not in sys.modules:
        return isinstance(error, MemoryError)
    from charlm.device import is_out_of_memory

    return is_out_of_memory(error)
