"""The `charlm eval` command."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charlm.cli import options, predictors
from charlm.cli.misplaced import check_file_names
from charlm.cli.predictors import make_evaluator
from charlm.errors import CheckpointError, ConfigError
from charlm.location import CHECKPOINTS, CONFIG, is_checkpoint_name, is_text_name

if TYPE_CHECKING:
    from charlm.api import Account, Comparison, Evaluator, Measured, NamedText
    from charlm.text import Level


def evaluate(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CHECKPOINT]... [TEXT]...",
            help="Checkpoints and texts; several checkpoints are compared; `-` is stdin. Default: "
            "the newest checkpoint on its held-out test split.",
        ),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", metavar="TEXT", help="Text to evaluate on. May be repeated."),
    ] = None,
    split: Annotated[
        Literal["train", "valid", "test"] | None,
        typer.Option(help="Part of the training corpus: train, valid or test. Default: test."),
    ] = None,
    label: options.Label = None,
    frame: options.FrameOfText = None,
    context_of_tokens: options.Context = None,
    baseline: Annotated[
        int | None,
        typer.Option(
            metavar="ORDER",
            min=1,
            help="Compare with an n-gram model of the training tokens (modified Kneser-Ney).",
        ),
    ] = None,
    dynamic: predictors.Dynamic = False,
    dynamic_learning_rate: predictors.DynamicLearningRate = None,
    dynamic_decay: predictors.DynamicDecay = None,
    dynamic_bptt: predictors.DynamicBptt = None,
    cache: predictors.Cache = False,
    cache_size: predictors.CacheSize = None,
    cache_flatness: predictors.CacheFlatness = None,
    cache_weight: predictors.CacheWeight = None,
    tune: predictors.Tune = False,
    mix: predictors.Mix = None,
    perplexity: Annotated[
        bool, typer.Option("--perplexity", help="Print only the perplexity.")
    ] = False,
    form: Annotated[
        Literal["kenlm", "srilm"] | None,
        typer.Option(
            "--format",
            help="Print in the format of KenLM's `query -v summary` or SRILM's `ngram -unk -ppl`.",
        ),
    ] = None,
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Evaluate models on texts exactly: every token is predicted once, from all text before it."""
    check_file_names([*(names or []), *(text or [])], "measure")
    checkpoints, texts = checkpoints_and_texts(names or [], text or [])
    check_output(perplexity=perplexity, as_json=as_json, form=form)
    if split is not None and texts:
        raise ConfigError("--split has no effect where texts are named; leave one of them out.")
    if len(checkpoints) > 1 and mix:
        raise ConfigError("--mix makes one model of several; name one checkpoint beside it.")
    params = {**context.params, "context": context_of_tokens}
    if len(checkpoints) < 2 and not label and has_labels(checkpoints):
        check_plain(context.params)
        evaluate_labels(checkpoints, texts, split, device, perplexity=perplexity, as_json=as_json)
        return
    texts = folder_texts(texts)
    with ExitStack() as stack:
        evaluators = [make_evaluator(c, params, device) for c in checkpoints or [None]]
        if baseline is not None:
            evaluators.append(make_baseline(evaluators[0][0], baseline))
        check_single(evaluators, form)
        found = [stack.enter_context(at_rest(name)) for name in texts]
        if len(checkpoints) > 1 and not texts:
            found = [stack.enter_context(split_of_first(evaluators[0][0], split or "test"))]
        report(evaluators, found, None if found else split or "test", perplexity, form, as_json)


def has_labels(checkpoints: Sequence[Path | None]) -> bool:
    """Return whether the first checkpoint, or the newest by default, was trained with labels."""
    from charlm.checkpoint import read_config
    from charlm.location import find_checkpoint

    folder = find_checkpoint(checkpoints[0] if checkpoints else None)
    return bool(read_config(folder / CONFIG).labels)


def check_plain(params: dict[str, Any]) -> None:
    """Check that no option is given that needs texts under a single label.

    Raises:
        ConfigError: such an option is given, or a setting of an adaptation without it.
    """
    predictors.adaptation_settings(params)
    others = ("frame", "context_of_tokens", "baseline", "dynamic", "cache", "tune", "mix", "form")
    for name in others:
        if params.get(name):
            if name == "mix":
                raise ConfigError("models of labels are not mixed; leave out --mix.")
            flag = {"context_of_tokens": "context", "form": "format"}.get(name, name)
            raise ConfigError(f"--{flag} needs texts under one label; add --label NAME.")


def evaluate_labels(
    checkpoints: Sequence[Path | None],
    texts: Sequence[str],
    split: Literal["train", "valid", "test"] | None,
    device: Any,
    *,
    perplexity: bool,
    as_json: bool,
) -> None:
    """Evaluate labelled texts, each under its own label, and print the result.

    Args:
        checkpoints: at most one checkpoint; the newest by default.
        texts: labelled files or folders. If there are none, `split` is evaluated.
        split: part of the training corpus; the test part by default.
        device: name of the device.
        perplexity: print only the perplexity.
        as_json: print JSON.

    Raises:
        CheckpointError: the checkpoint is missing or damaged, or its corpus has changed.
        TextError: a text cannot be read or has an unknown label, or the split is empty.
    """
    from charlm.api import Classifier, load
    from charlm.display.evaluation import show_evaluation, show_texts

    checkpoint = load(checkpoints[0] if checkpoints else None, device).checkpoint
    classifier = Classifier(checkpoint)
    measured: list[Measured] = []
    if texts:
        for text in texts:
            with classifier.read_file(text) as by_label:
                measured += classifier.measure(by_label, text).values()
    else:
        part = split or "test"
        measured += classifier.measure(classifier.split(part), f"its {part} split").values()
    together = classifier.together(measured)
    note_other([together], checkpoint.tokenizer.level)
    if perplexity:
        print(f"{together.evaluation.perplexity:.4f}")
    elif as_json:
        print_json(record(together, measured))
    else:
        show_texts([*measured, together], str(checkpoint.folder))
        show_evaluation(together, str(checkpoint.folder))


def report(
    evaluators: Sequence[tuple["Evaluator", str]],
    texts: Sequence["NamedText"],
    split: Literal["train", "valid", "test"] | None,
    perplexity: bool,
    form: str | None,
    as_json: bool,
) -> None:
    """Evaluate one model or compare several, and print the result.

    Args:
        evaluators: evaluator and name of each model.
        texts: the texts to evaluate.
        split: part of the training corpus to evaluate, or None if there are texts.
        perplexity: print only the perplexity of each model.
        form: "kenlm", "srilm" or None; for a single model only.
        as_json: print JSON.
    """
    from charlm.api import account, compare
    from charlm.display.console import show_note
    from charlm.display.evaluation import show_comparison, show_evaluation, show_texts

    if len(evaluators) > 1:
        accounts = [account(label, evaluator, texts, split) for evaluator, label in evaluators]
        for each in accounts:
            level = each.evaluator.tokenizer.level
            note_other([each.together], level, f", as {each.name} reads them,")
        comparisons = [compare(each, accounts[0], texts) for each in accounts[1:]]
        if perplexity:
            for each in accounts:
                print(f"{each.together.evaluation.perplexity:.4f}")
            if not all(comparison.comparable for comparison in comparisons):
                show_note("vocabulary, text or rules differ: these perplexities do not compare.")
        elif as_json:
            print_json(comparison_record(accounts, comparisons))
        else:
            show_comparison(accounts, comparisons)
        return
    ((evaluator, label),) = evaluators
    measured = measure(evaluator, texts, split)
    together = evaluator.together(measured)
    note_other(measured, evaluator.tokenizer.level)
    if perplexity:
        print(f"{together.evaluation.perplexity:.4f}")
    elif form is not None:
        from charlm.display.formats import kenlm_summary, srilm_line

        lines = [srilm_line(each) for each in measured]
        print(kenlm_summary(together) if form == "kenlm" else "\n".join(lines))
    elif as_json:
        print_json(record(together, measured))
    else:
        if len(measured) > 1:
            show_texts([*measured, together], label)
        show_evaluation(together, label)


def note_other(measured: Sequence["Measured"], level: "Level", reader: str = "") -> None:
    """Print a note for each text whose share of `<other>` tokens makes its measures misleading.

    Args:
        measured: results to check.
        level: level of the tokens.
        reader: suffix for the name of each text that names the model, if there are several.
    """
    from charlm.display.console import show_note
    from charlm.text import other_note

    for each in measured:
        found = each.evaluation
        name = "standard input" if each.text == "-" else each.text
        note = other_note(name + reader, found.num_other, found.num_tokens, level)
        if note is not None:
            show_note(note)


def measure(
    evaluator: "Evaluator",
    texts: Sequence["NamedText"],
    split: Literal["train", "valid", "test"] | None,
) -> list["Measured"]:
    """Evaluate the split of the corpus if it is given, or each text."""
    if split is not None:
        return [evaluator.evaluate_split(split)]
    return [evaluator.evaluate_file(text.path, name=text.name) for text in texts]


def make_baseline(evaluator: "Evaluator", order: int) -> tuple["Evaluator", str]:
    """Return an evaluator with an n-gram model of a checkpoint's training tokens, and its name."""
    from charlm.api import train_ngram
    from charlm.evaluation import NgramPredictor

    model = train_ngram(evaluator.checkpoint, order)
    return evaluator.with_predictor(NgramPredictor(model)), f"{order}-gram"


def checkpoints_and_texts(
    names: Sequence[str], texts: Sequence[str]
) -> tuple[list[Path | None], list[str]]:
    """Split names into checkpoints and texts; if `texts` is given, all names are checkpoints.

    Raises:
        CheckpointError: the first name is neither a checkpoint nor a text.
        ConfigError: a name is empty, or standard input is named twice.
    """
    check_names([*names, *texts])
    if texts:
        return [Path(name) for name in names], list(texts)
    checkpoint, rest = checkpoint_and_texts(names)
    checkpoints: list[Path | None] = [] if checkpoint is None else [checkpoint]
    while checkpoints and rest and is_checkpoint_name(rest[0]) and not is_text_name(rest[0]):
        checkpoints.append(Path(rest[0]))
        rest = rest[1:]
    return checkpoints, rest


def checkpoint_and_texts(names: Sequence[str]) -> tuple[Path | None, list[str]]:
    """Split names into an optional checkpoint, which comes first, and texts.

    A file or a folder of texts takes precedence over a checkpoint of the same name in
    `checkpoints/`. A checkpoint trained on a folder has the name of that folder.

    Raises:
        CheckpointError: the first name is neither a checkpoint nor a text.
        ConfigError: a name is empty, or standard input is named twice.
    """
    check_names(names)
    if not names:
        return None, []
    first, *rest = names
    if is_checkpoint_name(first) and not is_text_name(first):
        return Path(first), rest
    if is_checkpoint_name(first):
        from charlm.display.console import show_note

        show_note(f"{first} is read as a text; the checkpoint is {CHECKPOINTS / first}.")
    if not (Path(first).exists() or "://" in first or first == "-"):
        raise CheckpointError(f"{first} is neither a checkpoint nor a text; see `charlm list`.")
    return None, list(names)


def folder_texts(names: Sequence[str]) -> list[str]:
    """Replace each folder by the text files in it, and print notes about skipped files.

    Raises:
        TextError: a folder has no text files, is a checkpoint or cannot be read.
    """
    from charlm.data import expand_folders
    from charlm.display.console import show_note

    found = expand_folders(names)
    for note in found.notes:
        show_note(note)
    return list(found.paths)


def check_names(names: Sequence[str]) -> None:
    """Check that no name is empty and that standard input is named at most once.

    Raises:
        ConfigError: a name is empty, or standard input is named twice.
    """
    if "" in names:
        raise ConfigError("a name is empty; is it a variable that is not set?")
    if names.count("-") > 1:
        raise ConfigError("standard input can be only one text; name `-` once.")


def check_output(*, perplexity: bool, as_json: bool, form: str | None) -> None:
    """Check that at most one output format is chosen.

    Raises:
        ConfigError: two output formats are chosen.
    """
    asked = {"--perplexity": perplexity, "--json": as_json, "--format": form is not None}
    given = [flag for flag, wanted in asked.items() if wanted]
    if len(given) > 1:
        raise ConfigError(f"{given[0]} and {given[1]} exclude each other; choose one.")


def check_single(evaluators: Sequence[object], form: str | None) -> None:
    """Check that the format of another program is chosen only for a single model.

    Raises:
        ConfigError: a format is given, and there are several models.
    """
    if form is not None and len(evaluators) > 1:
        raise ConfigError(
            f"--format {form} shows one model; name one checkpoint and leave out --baseline."
        )


@contextmanager
def at_rest(name: str) -> Iterator["NamedText"]:
    """Yield a text that can be read repeatedly; standard input and pipes are copied to a file."""
    from charlm.api import NamedText
    from charlm.data import UserSource, comes_once
    from charlm.temporary import temporary_file

    if not comes_once(name):
        yield NamedText(name=name, path=name)
        return
    with temporary_file(UserSource(name).chunks()) as file:
        yield NamedText(name=name, path=file.name)


@contextmanager
def split_of_first(
    evaluator: "Evaluator", part: Literal["train", "valid", "test"]
) -> Iterator["NamedText"]:
    """Yield a split of the first model's corpus as a text that all models can read.

    Raises:
        CheckpointError: the corpus has changed, or was standard input.
        TextError: the corpus is gone, or has no such split.
    """
    from charlm.api import split_as_text

    with split_as_text(evaluator.checkpoint, part) as text:
        yield text


def record(together: "Measured", measured: Sequence["Measured"]) -> dict[str, Any]:
    """Return the JSON object of one model's measures, with those of each of several texts."""
    content: dict[str, Any] = together.to_dict()
    if len(measured) > 1:
        content["texts"] = [{"text": each.text, **each.to_dict()} for each in measured]
    return content


def comparison_record(
    accounts: Sequence["Account"], comparisons: Sequence["Comparison"]
) -> dict[str, Any]:
    """Return the JSON object of several models and their differences from the first."""
    from dataclasses import asdict

    return {
        "models": [
            {"model": each.name, **record(each.together, each.measured)} for each in accounts
        ],
        "differences": [
            {"model": each.name, "to": accounts[0].name, **asdict(comparison)}
            for each, comparison in zip(accounts[1:], comparisons, strict=True)
        ],
    }


def print_json(content: Any) -> None:
    """Print content as JSON, with null for numbers that are not finite."""
    print(json.dumps(finite(content), indent=2, ensure_ascii=False))


def finite(content: Any) -> Any:
    """Return the content with None in place of infinities and NaN, which JSON cannot represent."""
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
