"""The `charlm classify` command."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charlm.cli import options
from charlm.cli.options import check_utf8
from charlm.errors import ConfigError, TextError
from charlm.location import is_checkpoint_name

if TYPE_CHECKING:
    from charlm.api import Classified, Classifier, Confusion


def classify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CHECKPOINT] [TEXT]...",
            help="Texts to classify. Default: the test split of the newest checkpoint's corpus.",
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            help="Labelled texts (.tsv, .jsonl or a folder) to evaluate on, or a text whose lines "
            "are classified one by one; `-` is stdin.",
        ),
    ] = None,
    split: Annotated[
        Literal["train", "valid", "test"] | None,
        typer.Option(help="Part of the training corpus: train, valid or test. Default: test."),
    ] = None,
    prior: Annotated[
        Literal["corpus", "uniform"] | None,
        typer.Option(
            help="Prior probabilities of the labels. Default: their frequencies in the training "
            "texts."
        ),
    ] = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Classify texts: find the label under which each is most probable, and its probability.

    For labelled texts, show the accuracy and the confusion matrix.
    """
    checkpoint, texts = checkpoint_and_texts(names or [])
    given = {"a text": bool(texts), "--file": file is not None, "--split": split is not None}
    if sum(given.values()) > 1:
        first, second, *_ = [name for name, there in given.items() if there]
        raise ConfigError(f"{first} and {second} exclude each other; choose one.")

    from charlm.api import Classifier, load
    from charlm.data import is_labelled

    classifier = Classifier(load(checkpoint, device).checkpoint, prior or "corpus")
    if file is not None and is_labelled(file):
        with classifier.read_file(file) as by_label:
            show(classifier.confusion(by_label), file, as_json)
    elif file is not None:
        show_each(classifier, filled_lines(file, classifier), as_json)
    elif texts:
        show_each(classifier, texts, as_json)
    else:
        part = split or "test"
        show(classifier.confusion(classifier.split(part)), f"its {part} split", as_json)


def checkpoint_and_texts(names: list[str]) -> tuple[Path | None, list[str]]:
    """Split names into checkpoint and texts; the first is a checkpoint if one has that name."""
    if names and is_checkpoint_name(names[0]):
        return Path(names[0]), names[1:]
    return None, names


def filled_lines(file: str, classifier: "Classifier") -> list[str]:
    """Return the lines of a text that are not blank.

    Raises:
        TextError: the file cannot be read or has only blank lines.
    """
    from charlm.api.prompt_frames import prompt_frames
    from charlm.data import UserSource, whole_text
    from charlm.evaluation import find_line_ending

    line_ending = find_line_ending(prompt_frames(classifier.checkpoint).framing)
    any_bytes = classifier.checkpoint.tokenizer.level == "byte"
    lines = line_ending.split(whole_text(UserSource(file, any_bytes=any_bytes)))
    if not any(line.strip() for line in lines):
        raise TextError(f"{file} holds no texts; write one on each line.")
    return [line for line in lines if line.strip()]


def show_each(classifier: "Classifier", texts: list[str], as_json: bool) -> None:
    """Classify each text and print a row or JSON object for it.

    Raises:
        TextError: a text is not UTF-8.
    """
    for text in texts:
        check_utf8(text, classifier.checkpoint.tokenizer.level)
    found: list[tuple[str, Classified]] = list(zip(texts, classifier.classify(texts), strict=True))
    if as_json:
        content = [{"text": text, **asdict(each)} for text, each in found]
        print(json.dumps(content, indent=2, ensure_ascii=False))
        return
    from charlm.display.classification import show_classified

    show_classified(found)


def show(confusion: "Confusion", text: str, as_json: bool) -> None:
    """Print the accuracy and the confusion matrix, as a table or as JSON."""
    if as_json:
        content: dict[str, Any] = {
            "text": text,
            "num_frames": confusion.num_frames,
            "accuracy": confusion.accuracy,
            "chance": confusion.chance,
            "labels": confusion.labels,
            "confusion": confusion.counts.tolist(),
        }
        print(json.dumps(content, indent=2, ensure_ascii=False))
        return
    from charlm.display.classification import show_confusion

    show_confusion(confusion, text)
