"""`charlm export`."""

from pathlib import Path
from typing import Annotated

import typer

from charlm.cli import options
from charlm.errors import ConfigError


def export(
    checkpoint: options.Checkpoint = None,
    arpa: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="An n-gram model of the training tokens (modified Kneser-Ney), as KenLM and SRILM "
            "read it.",
        ),
    ] = None,
    order: Annotated[int, typer.Option(min=1, help="Tokens of an n-gram.")] = 5,
) -> None:
    """Write what other programs read."""
    if arpa is None:
        raise ConfigError("say what to write: --arpa FILE.")
    if arpa.is_dir():
        raise ConfigError(f"{arpa} is a folder; name a file.")

    from charlm.api import arpa_words, load, train_ngram
    from charlm.display.console import show_note
    from charlm.ngram import write_arpa

    loaded = load(checkpoint, "cpu").checkpoint
    model = train_ngram(loaded, order)
    write_arpa(model, arpa_words(loaded.tokenizer), arpa)
    sizes = ", ".join(f"{len(t):,} {n}-grams" for n, t in enumerate(model.tables, 1))
    show_note(f"{arpa}: {sizes}")
