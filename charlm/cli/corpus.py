"""`charlm corpus`."""

import sys
from typing import Annotated

import typer


def corpus(
    name: Annotated[str | None, typer.Argument(help="tales or python. Default: list them.")] = None,
) -> None:
    """Print a text that comes with charlm, or is made from this Python's own documentation."""
    from charlm.data import MADE_CORPORA, made_corpus

    if name is None:
        for known, make in MADE_CORPORA.items():
            print(f"{known:10}{(make.__doc__ or '').splitlines()[0]}")
        return
    for text in made_corpus(name):
        sys.stdout.write(text)
    sys.stdout.flush()
