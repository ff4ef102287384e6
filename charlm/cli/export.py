"""The `charlm export` command."""

import sys
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
            help="ARPA file to write, an n-gram model of the training tokens (modified "
            "Kneser-Ney) for KenLM and SRILM; `-` is stdout.",
        ),
    ] = None,
    order: Annotated[int, typer.Option(min=1, help="Order of the n-gram model.")] = 5,
) -> None:
    """Export a model for other programs."""
    if arpa is None:
        raise ConfigError("say what to write: --arpa FILE.")
    check_target(arpa)

    from charlm.api import arpa_words, load, train_ngram
    from charlm.display.console import show_note
    from charlm.ngram import arpa_lines, write_arpa

    loaded = load(checkpoint, "cpu").checkpoint
    if loaded.config.corpus.reads == "backward":
        raise ConfigError(
            f"{loaded.folder} reads backwards, other programs do not; name a forward model."
        )
    model, words = train_ngram(loaded, order), arpa_words(loaded.tokenizer)
    if arpa == Path("-"):
        sys.stdout.writelines(arpa_lines(model, words))
    else:
        write_arpa(model, words, arpa)
    sizes = ", ".join(f"{len(t):,} {n}-grams" for n, t in enumerate(model.tables, 1))
    show_note(f"{arpa}: {sizes}")


def check_target(path: Path) -> None:
    """Check that the path can be a plain output file.

    Raises:
        ConfigError: the path is empty, is a folder or has the extension of a compressed file.
    """
    if path == Path():
        raise ConfigError("--arpa needs the name of a file.")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder; name a file.")
    if path.suffix in (".gz", ".bz2", ".xz", ".zst"):
        raise ConfigError(
            f"{path} would not be packed; write {path.with_suffix('')}, or pipe `--arpa -` into "
            "a packer."
        )
