"""The `charlm corpus` command."""

import sys
from itertools import islice
from typing import Annotated

import typer

from charlm.cli import options
from charlm.errors import ConfigError

LINES, GAP, SEED = 10_000, 10, 1


def corpus(
    name: Annotated[
        str | None,
        typer.Argument(help="Name of the corpus. Default: list all.", show_default=False),
    ] = None,
    lines: Annotated[
        int | None, typer.Option(min=1, help=f"Number of lines of an exercise. Default: {LINES:,}.")
    ] = None,
    gap: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Maximum number of filler symbols between what must be remembered and where it "
            f"is needed. Default: {GAP}.",
        ),
    ] = None,
    min_gap: Annotated[
        int | None, typer.Option(min=0, help="Minimum number of those symbols. Default: 0.")
    ] = None,
    seed: options.Seed = None,
) -> None:
    """Print a built-in or generated text.

    These are the tales, the documentation of this Python, and exercises for a network's memory.
    """
    from charlm.data import MADE_CORPORA, TASKS, exercises, made_corpus

    given = {"--lines": lines, "--gap": gap, "--min-gap": min_gap, "--seed": seed}
    if name in TASKS:
        bounds = min_gap or 0, GAP if gap is None else gap
        if bounds[0] > bounds[1]:
            raise ConfigError(f"--min-gap {bounds[0]} is more than --gap {bounds[1]}.")
        made = exercises(name, seed=SEED if seed is None else seed, gap=bounds)
        for exercise in islice(made, lines or LINES):
            sys.stdout.write(exercise.text + "\n")
        sys.stdout.flush()
        return
    for flag, value in given.items():
        if value is not None:
            raise ConfigError(f"{flag} is for exercises: {', '.join(TASKS)}.")
    if name is None:
        for known, make in {**MADE_CORPORA, **TASKS}.items():
            print(f"{known:15}{(make.__doc__ or '').splitlines()[0]}")
        return
    for text in made_corpus(name):
        sys.stdout.write(text)
    sys.stdout.flush()
