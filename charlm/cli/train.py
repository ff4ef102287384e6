"""`charlm train`."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charlm.cli import options
from charlm.errors import ConfigError, StorageError
from charlm.location import find_checkpoint, new_name, newest_named_after

if TYPE_CHECKING:
    from charlm.text import Tokenizer
    from charlm.training import Prepared, TrainingRun

MODEL, TRAINING = "Model", "Training"
INTERRUPTED = 130
SAMPLE_TOKENS = 160
NOT_SETTINGS = ("corpus", "output", "resume", "recipe", "device")


def train(
    context: typer.Context,
    corpus: Annotated[
        list[str] | None,
        typer.Argument(help="Texts; `-` is stdin; .gz .xz .bz2 .zst and URLs are read by name."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder to make. Default: checkpoints/ + the name."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a run that was stopped.")
    ] = False,
    recipe: Annotated[
        Path | None, typer.Option(help="Take settings from a recipe.toml; flags win over it.")
    ] = None,
    device: options.Device = "auto",
    time: Annotated[str | None, typer.Option(help="Budget: 90s, 5m, 1h30m. Default: 5m.")] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes over the text, instead.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps, instead.")] = None,
    level: options.Level = None,
    vocab_size: options.VocabSize = None,
    lowercase: options.Lowercase = None,
    pretokenized: options.Pretokenized = None,
    split: options.Split = None,
    valid: Annotated[
        list[str] | None,
        typer.Option(help="A text to validate on, instead of a split.", rich_help_panel="Text"),
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option(help="A text to test on, instead of a split.", rich_help_panel="Text"),
    ] = None,
    frame: options.FrameName = None,
    independent_frames: Annotated[
        bool | None,
        typer.Option(
            "--independent-frames",
            help="Forget everything at each <start>.",
            rich_help_panel="Text",
        ),
    ] = None,
    cell: Annotated[
        Literal["rnn", "rnn-relu", "lstm", "gru"] | None,
        typer.Option(help="Recurrent cell. Default: lstm.", rich_help_panel=MODEL),
    ] = None,
    hidden_size: Annotated[int | None, typer.Option(rich_help_panel=MODEL)] = None,
    embedding_size: Annotated[int | None, typer.Option(rich_help_panel=MODEL)] = None,
    num_layers: Annotated[int | None, typer.Option(rich_help_panel=MODEL)] = None,
    tie_embeddings: Annotated[
        bool | None,
        typer.Option(
            "--tie-embeddings/--no-tie-embeddings",
            help="One matrix for input and output. Default: where the sizes allow.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(help="Between layers and on the output.", rich_help_panel=MODEL),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Parallel streams.", rich_help_panel=TRAINING)
    ] = None,
    bptt: Annotated[
        int | None, typer.Option(help="Tokens a window.", rich_help_panel=TRAINING)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="At its height.", rich_help_panel=TRAINING)
    ] = None,
    warmup_steps: Annotated[int | None, typer.Option(rich_help_panel=TRAINING)] = None,
    weight_decay: Annotated[float | None, typer.Option(rich_help_panel=TRAINING)] = None,
    clip_norm: Annotated[
        float | None,
        typer.Option(help="Norm of all gradients. Default: 1.", rich_help_panel=TRAINING),
    ] = None,
    clip_value: Annotated[
        float | None,
        typer.Option(help="Each element of the gradients, instead.", rich_help_panel=TRAINING),
    ] = None,
    valid_every: Annotated[
        int | None, typer.Option(help="Steps between validations.", rich_help_panel=TRAINING)
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop after so many validations without a new best.", rich_help_panel=TRAINING
        ),
    ] = None,
    precision: Annotated[
        Literal["float32", "bfloat16"] | None,
        typer.Option(
            help="Default: bfloat16 where the device computes in it.", rich_help_panel=TRAINING
        ),
    ] = None,
    seed: options.Seed = None,
) -> None:
    """Build a vocabulary, train, and keep the best model in checkpoints/NAME."""
    from charlm.data import parse_split
    from charlm.device import choose_device
    from charlm.training import prepare_run, read_given, resume_run

    flags = {k: v for k, v in context.params.items() if k not in NOT_SETTINGS and v is not None}
    for name, texts in (("paths", corpus), ("valid", valid), ("test", test)):
        flags.pop(name, None)
        if texts:
            flags[name] = tuple(texts)
    if split is not None:
        flags["split"] = parse_split(split)
    if resume:
        check_resume(flags, recipe)
        prepared = resume_run(run_to_resume(corpus, output), choose_device(device))
        check_corpus(corpus, prepared.run)
    else:
        given = read_given(recipe, flags)
        folder = output or new_name(given["paths"][0])
        prepared = prepare_run(given, folder, choose_device(device))
    train_to_end(prepared)


def train_to_end(prepared: "Prepared") -> None:
    """Train, show how it goes, and keep the work when interrupted.

    Raises:
        Exit: interrupted.
        StorageError: the checkpoint cannot be written.
    """
    from charlm.display.console import show_note
    from charlm.display.training import TrainingDisplay, show_end, show_interrupted, show_plan

    run = prepared.run
    for note in prepared.notes:
        show_note(note)
    if prepared.plan is not None:
        show_plan(prepared.plan, run)

    try:
        with stop_signals() as stopped, TrainingDisplay(run) as display:
            for event in run.events():
                display.show(event)
                if display.wants_sample(event):
                    display.show_sample(write_sample(run, prepared.tokenizer))
                if stopped():
                    break
            if interrupted := stopped() and not run.is_finished:
                run.save()
    except StorageError as error:
        raise StorageError(
            f"{error} What was saved before is whole; go on with `{resume_command(run)}`."
        ) from error
    if interrupted:
        show_interrupted(run, resume_command(run))
        raise typer.Exit(INTERRUPTED)
    show_end(run)


def check_resume(flags: dict[str, Any], recipe: Path | None) -> None:
    """A resumed run goes on as it was planned.

    Raises:
        ConfigError: a setting is given that would change it.
    """
    changed = [name for name in flags if name != "paths"] + (["recipe"] if recipe else [])
    if changed:
        names = ", ".join("--" + name.replace("_", "-") for name in changed)
        raise ConfigError(f"{names} has no effect with --resume: the run goes on as planned.")


def run_to_resume(corpus: list[str] | None, output: Path | None) -> Path:
    """The folder named by -o, or the newest run on that corpus, or the newest run."""
    if output is None and corpus:
        return newest_named_after(corpus[0])
    return find_checkpoint(output)


def resume_command(run: "TrainingRun") -> str:
    """What to type to go on."""
    return f"charlm train --resume -o {run.folder}"


def check_corpus(corpus: list[str] | None, run: "TrainingRun") -> None:
    """A run is resumed on its own texts.

    Raises:
        ConfigError: others are named.
    """
    own = run.config.corpus.paths
    if corpus and tuple(corpus) != own:
        raise ConfigError(f"{run.folder} was trained on {', '.join(own)}; leave the texts out.")


@contextmanager
def stop_signals() -> "Iterator[Any]":
    """Turn the first SIGINT or SIGTERM into a wish to stop; the second acts as ever."""
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        received.append(number)
        signal.signal(number, signal.default_int_handler)

    before = {s: signal.signal(s, remember) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def write_sample(run: "TrainingRun", tokenizer: "Tokenizer") -> str:
    """What the model writes at this point, apart from the run's own randomness."""
    from charlm.api import sample_text
    from charlm.decoding import DecodingConfig

    config = DecodingConfig(max_new_tokens=SAMPLE_TOKENS, temperature=0.8)
    return sample_text(run.learner.model.eval(), tokenizer, config, seed=run.progress.step)
