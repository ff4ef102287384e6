"""The `charlm fill` command."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from charlm.cli import options
from charlm.cli.loading import load_model
from charlm.cli.options import check_utf8
from charlm.errors import ConfigError
from charlm.location import is_checkpoint_name


def fill(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="[CHECKPOINT] TEXT",
            help="Checkpoint (default: the newest), then a sentence with ___ for each blank.",
        ),
    ],
    num_fillings: Annotated[
        int | None, typer.Option("--top", help="Number of fillings to show. Default: 10.")
    ] = None,
    max_blank_tokens: Annotated[
        int | None,
        typer.Option(
            help="Maximum number of tokens in a blank. Default: 1 for words, 4 for BPE, 12 for "
            "characters and bytes.",
        ),
    ] = None,
    width: Annotated[
        int | None,
        typer.Option(
            help="Number of candidates of each length proposed from each side. Default: all "
            "fillings where ranking them takes seconds, else 50."
        ),
    ] = None,
    label: options.Label = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Fill the blanks of a sentence with a model trained with --direction both.

    Fillings are ranked by the probability of the whole sentence. P is the probability of a filling
    among all possible ones. If there are too many to try, both halves of the model propose
    candidates, and the share is the probability among these.
    """
    checkpoint, text = checkpoint_and_text(names)
    given = {
        "num_fillings": num_fillings,
        "max_blank_tokens": max_blank_tokens,
        "width": width,
    }
    given = {name: value for name, value in given.items() if value is not None}

    from charlm.api import BLANK
    from charlm.cli.generate import note_unknown
    from charlm.display.filling import show_fillings

    lm = load_model(checkpoint, device, label)
    check_utf8(text, lm.tokenizer.level)
    found = lm.fill(text, **given)
    note_unknown(BLANK.split(text), lm.tokenizer)
    if as_json:
        content = {"text": text, "fillings": [asdict(filling) for filling in found]}
        print(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        show_fillings(found)


def checkpoint_and_text(names: list[str]) -> tuple[Path | None, str]:
    """Split names into an optional checkpoint and the text, which comes last.

    Raises:
        ConfigError: there are more than two names, or the first of two is not a checkpoint.
    """
    *before, text = names
    if len(before) > 1 or (before and not is_checkpoint_name(before[0])):
        raise ConfigError(
            f"expected a checkpoint and a text, not {len(names)} names of which {names[0]!r} is "
            "the first; put the text in quotes, and see `charlm list`."
        )
    return (Path(before[0]) if before else None), text
