"""`charlm eval`."""

import json
import math
from pathlib import Path
from typing import Annotated, Literal

import typer

from charlm.cli import options
from charlm.errors import CheckpointError, ConfigError
from charlm.location import is_checkpoint_name


def evaluate(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CHECKPOINT] [TEXT]...",
            help="Default: the newest checkpoint, on its held-out test split. `-` is stdin.",
        ),
    ] = None,
    split: Annotated[
        Literal["train", "valid", "test"] | None,
        typer.Option(help="Part of the training corpus. Default: test."),
    ] = None,
    perplexity: Annotated[
        bool, typer.Option("--perplexity", help="Print the perplexity alone.")
    ] = False,
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Measure how well a model predicts a text, exactly: every token once, in full context."""
    checkpoint, texts = checkpoint_and_texts(names or [])
    if split is not None and texts:
        raise ConfigError("--split has no effect where texts are named; leave one of them out.")
    if perplexity and as_json:
        raise ConfigError("--perplexity and --json exclude each other; choose one.")

    from charlm.api import load
    from charlm.display.evaluation import show_evaluation

    lm = load(checkpoint, device)
    if texts:
        result, what = lm.evaluate_files(texts), ", ".join(texts)
    else:
        part = split or "test"
        result, what = lm.evaluate_split(part), f"its {part} split"
    if perplexity:
        print(f"{result.perplexity:.4f}")
    elif as_json:
        finite = {k: v if math.isfinite(v) else None for k, v in result.to_dict().items()}
        print(json.dumps(finite, indent=2))
    else:
        show_evaluation(result, f"{lm.checkpoint.folder} on {what}")


def checkpoint_and_texts(names: list[str]) -> tuple[Path | None, list[str]]:
    """Tell a checkpoint from texts: the first name is one if there is such a checkpoint.

    Raises:
        CheckpointError: the first name is a folder, but not a checkpoint.
    """
    if not names:
        return None, []
    first, *rest = names
    if is_checkpoint_name(first):
        return Path(first), rest
    if Path(first).is_dir() or not (rest or Path(first).exists() or "://" in first or first == "-"):
        raise CheckpointError(f"{first} is neither a checkpoint nor a text; see `charlm list`.")
    return None, names
