"""The `charlm rescore` command."""

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

SIGNIFICANT_DIGITS = 10  # of printed scores; --json has full precision

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
    finally:  # a reader such as `head` may have closed the pipe
        if measured is not None:
            from charlm.display.rescoring import show_rescoring_errors

            show_rescoring_errors(measured)


def the_only_list(names: list[str]) -> str:
    """Return the name of the single n-best list.

    Raises:
        ConfigError: there is no n-best list, or more than one.
    """
    match names:
        case [name]:
            return name
        case []:
            raise ConfigError("name an n-best list after the checkpoint; `-` is standard input.")
        case _:
            raise ConfigError(f"name one n-best list, not {len(names)}; join them with `cat`.")


def check_sources(nbest: str, tune: str | None, references: str | None) -> None:
    """Check that references are given once, and that standard input is used only once.

    Raises:
        ConfigError: --tune and --references are both given, or standard input is used twice.
    """
    if tune is not None and references is not None:
        raise ConfigError("--tune and --references exclude each other; choose one.")
    if nbest == "-" and "-" in (tune, references):
        raise ConfigError("only one of n-best list and references can come from standard input.")


def read_texts(
    nbest: str, truth: str | None, spaces: str | None
) -> tuple[list["NbestEntry"], list[str], dict[str, str] | None]:
    """Return the entries, their plain texts, and the reference text of each utterance.

    Args:
        nbest: file of the n-best lists.
        truth: file of the references; if it is None, the references returned are None.
        spaces: symbol for a space in texts of separated characters; None for ordinary texts.

    Raises:
        ConfigError: the symbol for a space is empty or contains white space.
        TextError: a file cannot be read or is malformed, or the utterances do not match.
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
    """Return the texts and references without `<s>`, `</s>` and `<eos>` marks at their ends.

    Models of pretokenized texts would read these marks as their own special tokens.

    Raises:
        TextError: a text has a mark elsewhere.
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
    """Print notes about empty texts and about texts that consist only of `<other>` tokens.

    The model cannot distinguish the latter from other such texts of the same length.
    """
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
    """Return the first line as FILE:LINE, with the number of further lines."""
    name = name_of(nbest)
    more = f" and {len(lines) - 1:,} more" if len(lines) > 1 else ""
    return f"{name}:{lines[0]}{more}"


def check_log_probs(
    entries: list["NbestEntry"], log_probs: "NDArray[np.float64]", nbest: str
) -> None:
    """Check that every text has a finite log probability, so that it can be ranked.

    Raises:
        TextError: a text has an infinite or undefined log probability.
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
    """Return the JSON object of each utterance with its hypotheses, best first.

    Args:
        entries: the hypotheses.
        lists: their scores, log probabilities and lengths.
        config: weights of the combined score.
        best: keep only the best hypothesis of each utterance.
    """
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
    """Print a line per hypothesis, whose first three fields form an n-best list again.

    With `best`, print only the utterance and the text.
    """
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
    """Write the utterances as a JSON list, or as an object with the errors if they were counted."""
    if measured is None:
        sys.stdout.write(dump(utterances, 2))
    else:
        sys.stdout.write(dump({"utterances": utterances, key: measured.to_dict()}, 2))


def number(value: float) -> str:
    """Format a score with 10 significant digits."""
    return f"{value:.{SIGNIFICANT_DIGITS}g}"
