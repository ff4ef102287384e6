"""`charlm rescore`."""

import math
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charlm.cli import options
from charlm.cli.evaluate import checkpoint_and_texts
from charlm.cli.loading import load_model
from charlm.cli.output import dump
from charlm.cli.prompts import name_of
from charlm.errors import ConfigError, TextError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from charlm.data import NbestEntry
    from charlm.evaluation import NbestLists, RankingName, RescoringConfig, RescoringErrors
    from charlm.text import Tokenizer

SIGNIFICANT_DIGITS = 10  # of what is printed; --json has them all

WEIGHTS = "Weights of the ranking"


def rescore(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="[CHECKPOINT] NBEST",
            help="Checkpoint (default: the newest), then an n-best list: lines of utterance, "
            "score and text, separated by tabs; `-` is stdin.",
        ),
    ],
    label: options.Label = None,
    scale: Annotated[
        float | None,
        typer.Option(
            help="Weight of the model's log probability relative to the recogniser's score. "
            "Default: 0.5; recognisers that score every frame need more.",
            rich_help_panel=WEIGHTS,
        ),
    ] = None,
    length_bonus: Annotated[
        float | None,
        typer.Option(
            help="Bonus added per word or character. Default: 0.", rich_help_panel=WEIGHTS
        ),
    ] = None,
    unit: Annotated[
        Literal["word", "char"] | None,
        typer.Option(
            help="Unit of lengths and errors: word or char. Default: words for word models, else "
            "characters."
        ),
    ] = None,
    spaces: Annotated[
        str | None,
        typer.Option(
            metavar="SYMBOL",
            help="The texts are characters separated by spaces, and SYMBOL, such as `|`, stands "
            "for a space.",
        ),
    ] = None,
    tune: Annotated[
        str | None,
        typer.Option(
            metavar="REFERENCES",
            help="Reference texts (lines of utterance and text) to tune the scale and the length "
            "bonus on, minimizing errors. Values given by option stay fixed.",
            rich_help_panel=WEIGHTS,
        ),
    ] = None,
    references: Annotated[
        str | None,
        typer.Option(
            metavar="REFERENCES",
            help="Reference texts to report the errors against, without tuning.",
        ),
    ] = None,
    best: Annotated[
        bool, typer.Option("--best", help="Print only the best hypothesis of each utterance.")
    ] = False,
    device: options.Device = "auto",
    as_json: options.Json = False,
) -> None:
    """Rerank the hypotheses of a recogniser with the probabilities of a model.

    Hypotheses are ranked by score + scale * log P + length bonus * length, with natural logarithms.
    The output has utterance, combined score, text, score and log P, best first.
    """
    checkpoint, lists_named = checkpoint_and_texts(names)
    nbest = the_only_list(lists_named)
    check_sources(nbest, tune, references)
    given = {"scale": scale, "length_bonus": length_bonus}
    settings = {name: value for name, value in given.items() if value is not None}
    if tune is not None and len(settings) == len(given):
        raise ConfigError(
            "--scale and --length-bonus leave nothing to tune; leave one of them out, or name "
            "the references with --references."
        )
    truth = references if tune is None else tune
    if unit is not None and truth is None and length_bonus is None:
        raise ConfigError("--unit has no effect without --length-bonus, --tune or --references.")
    entries, texts, truths = read_texts(nbest, truth, spaces)

    from charlm.evaluation import (
        FIRST_PASS,
        RescoringConfig,
        count_errors,
        count_units,
        make_lists,
        measure_rankings,
        minimize_errors,
    )

    config = RescoringConfig(**settings)
    lm = load_model(checkpoint, device, label)
    unit = unit or ("word" if lm.tokenizer.level == "word" else "char")
    if lm.tokenizer.pretokenized:
        texts, truths = without_marks(entries, texts, truths, nbest, truth)
    meant = None if truths is None else [truths[entry.utterance] for entry in entries]
    errors = None if meant is None else count_errors(texts, meant, unit)
    note_silent(entries, texts, lm.tokenizer, nbest)
    log_probs = lm.log_probs(texts)
    check_log_probs(entries, log_probs, nbest)
    lists = make_lists(entries, log_probs, count_units(texts, unit))
    measured = None
    if meant is not None and errors is not None:
        configs: dict[RankingName, RescoringConfig] = {"first pass": FIRST_PASS, "rescored": config}
        if tune is not None:
            config = minimize_errors(
                lists, errors, config, fit_scale=scale is None, fit_bonus=length_bonus is None
            )
            configs["tuned"] = config
        num_units = count_units([meant[index] for index in lists.first], unit).sum()
        measured = measure_rankings(lists, errors, configs, unit, int(num_units))
    utterances = rank(entries, lists, config, best=best)
    try:
        if as_json:
            write_json(utterances, measured, "measured" if tune is None else "tuned")
        else:
            write_lines(utterances, best=best)
        sys.stdout.flush()
    finally:  # a reader such as `head` may have had enough
        if measured is not None:
            from charlm.display.rescoring import show_rescoring_errors

            show_rescoring_errors(measured)


def the_only_list(names: list[str]) -> str:
    """The one n-best list that is named beside the checkpoint.

    Raises:
        ConfigError: there is none, or several.
    """
    match names:
        case [name]:
            return name
        case []:
            raise ConfigError("name an n-best list after the checkpoint; `-` is standard input.")
        case _:
            raise ConfigError(f"name one n-best list, not {len(names)}; join them with `cat`.")


def check_sources(nbest: str, tune: str | None, references: str | None) -> None:
    """References come once, and not where the lists come from.

    Raises:
        ConfigError: two options exclude each other.
    """
    if tune is not None and references is not None:
        raise ConfigError("--tune and --references exclude each other; choose one.")
    if nbest == "-" and "-" in (tune, references):
        raise ConfigError("only one of n-best list and references can come from standard input.")


def read_texts(
    nbest: str, truth: str | None, spaces: str | None
) -> tuple[list["NbestEntry"], list[str], dict[str, str] | None]:
    """The entries, their texts as the model reads them, and the true text of each utterance.

    Raises:
        ConfigError: the symbol for a space is empty or holds white space.
        TextError: a file cannot be read or is not of its form.
    """
    from charlm.data import (
        UserSource,
        check_references,
        plain_texts,
        read_nbest,
        read_references,
    )

    if spaces is not None and spaces.split() != [spaces]:
        raise ConfigError(f"--spaces must be a symbol without white space, not {spaces!r}.")
    source = UserSource(nbest)
    entries = read_nbest(source)
    texts = list(plain_texts(((e.line, e.text) for e in entries), spaces, source.name))
    if truth is None:
        return entries, texts, None
    reference_source = UserSource(truth)
    references = read_references(reference_source)
    check_references(entries, references, source.name, reference_source.name)
    numbered = enumerate(references.values(), 1)  # each has a line of its own
    plain = plain_texts(numbered, spaces, reference_source.name)
    return entries, texts, dict(zip(references, plain, strict=True))


def without_marks(
    entries: list["NbestEntry"],
    texts: list[str],
    truths: dict[str, str] | None,
    nbest: str,
    truth: str | None,
) -> tuple[list[str], dict[str, str] | None]:
    """Texts and true texts without the marks of their ends, which such models take for their own.

    Raises:
        TextError: one holds a mark elsewhere.
    """
    from charlm.data import strip_marks

    lines = zip(entries, texts, strict=True)
    texts = [strip_marks(text, places([entry.line], nbest)) for entry, text in lines]
    if truths is None or truth is None:
        return texts, None
    numbered = enumerate(truths.items(), 1)  # each has a line of its own
    return texts, {u: strip_marks(text, places([line], truth)) for line, (u, text) in numbered}


def note_silent(
    entries: list["NbestEntry"], texts: list[str], tokenizer: "Tokenizer", nbest: str
) -> None:
    """Say where texts are empty, and where the model cannot tell them apart."""
    from charlm.display.console import show_note

    tokens = tokenizer.encode_batch(texts)
    read = list(zip(entries, texts, tokens, strict=True))
    silent = [entry.line for entry, text, _ in read if not text]
    if silent:
        show_note(f"{places(silent, nbest)}: no text; scored as the empty sentence.")
    unknown = [e.line for e, text, ids in read if text and (ids == tokenizer.other_id).all()]
    if unknown:
        show_note(
            f"{places(unknown, nbest)}: the model knows nothing in this text, and cannot tell it "
            "from others of its length."
        )


def places(lines: list[int], nbest: str) -> str:
    """The first of them, and how many more."""
    name = name_of(nbest)
    more = f" and {len(lines) - 1:,} more" if len(lines) > 1 else ""
    return f"{name}:{lines[0]}{more}"


def check_log_probs(
    entries: list["NbestEntry"], log_probs: "NDArray[np.float64]", nbest: str
) -> None:
    """The model gives every text a probability.

    Raises:
        TextError: there is one that it holds impossible, which no scale could rank.
    """
    for entry, log_prob in zip(entries, log_probs.tolist(), strict=True):
        if not math.isfinite(log_prob):
            raise TextError(
                f"{places([entry.line], nbest)}: the model gives this text a log P of {log_prob}, "
                "which cannot be weighed against a score; take the line out."
            )


def rank(
    entries: list["NbestEntry"], lists: "NbestLists", config: "RescoringConfig", *, best: bool
) -> list[dict[str, Any]]:
    """Utterances with their hypotheses, best first, or the `best` alone."""
    combined = lists.combined(config)
    utterances: dict[str, list[dict[str, Any]]] = {}
    for index in lists.ranking(combined).tolist():
        entry = entries[index]
        hypotheses = utterances.setdefault(entry.utterance, [])
        if best and hypotheses:
            continue
        hypotheses.append(
            {
                "text": entry.text,
                "score": entry.score,
                "log_prob": float(lists.log_probs[index]),
                "combined": float(combined[index]),
            }
        )
    return [{"utterance": name, "hypotheses": each} for name, each in utterances.items()]


def write_lines(utterances: list[dict[str, Any]], *, best: bool) -> None:
    """A line a hypothesis: its first three fields are an n-best list again."""
    for utterance in utterances:
        for each in utterance["hypotheses"]:
            fields = [each["text"]]
            if not best:
                numbers = [number(each[name]) for name in ("combined", "score", "log_prob")]
                fields = [numbers[0], *fields, *numbers[1:]]
            print(utterance["utterance"], *fields, sep="\t")


def write_json(
    utterances: list[dict[str, Any]], measured: "RescoringErrors | None", key: str
) -> None:
    """A list of the utterances; where errors were counted, an object that has them as well."""
    if measured is None:
        sys.stdout.write(dump(utterances, 2))
    else:
        sys.stdout.write(dump({"utterances": utterances, key: measured.to_dict()}, 2))


def number(value: float) -> str:
    """A score with the digits that mean something."""
    return f"{value:.{SIGNIFICANT_DIGITS}g}"
