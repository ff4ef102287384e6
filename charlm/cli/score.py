"""The `charlm score` command."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charlm.cli import options, predictors
from charlm.cli.evaluate import checkpoint_and_texts, finite, folder_texts
from charlm.cli.misplaced import check_file_names
from charlm.cli.output import begun, dump
from charlm.cli.predictors import make_evaluator
from charlm.errors import ConfigError

if TYPE_CHECKING:
    from charlm.api import Evaluator, Surprisal
    from charlm.evaluation import GroupedPairScores, PairScores

ByName = Literal["token", "word", "sentence", "line"]

TOKEN_NAMES = ("sentence_id", "token_id", "token", "surprisal", "entropy", "rank", "other")
PLACE_NAMES = ("char_start", "char_end")
SENTENCE_NAMES = ("sentence_id", "num_tokens", "surprisal", "other", *PLACE_NAMES, "text")
NAMES: dict[ByName, tuple[str, ...]] = {
    "token": (*TOKEN_NAMES, *PLACE_NAMES),
    "word": (*TOKEN_NAMES, *PLACE_NAMES),
    "sentence": SENTENCE_NAMES,
    "line": ("line_id", *SENTENCE_NAMES),
}
BREAKS = str.maketrans({"\t": r"\t", "\n": r"\n", "\r": r"\r"})
ESCAPES = {**BREAKS, **str.maketrans({"\\": r"\\"})}
DIGITS = 9  # decimals, and significant digits when printed; enough for float32

Row = dict[str, str | int | float | None]


class Spelling(str):
    """Token text whose backslashes are byte escapes and not part of the text."""

    __slots__ = ()


def score(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CHECKPOINT] TEXT...",
            help="Checkpoint (default: the newest), then texts; `-` is stdin.",
        ),
    ] = None,
    by: Annotated[
        ByName | None,
        typer.Option(
            help="Unit of a row: token, word, sentence (a frame, ended by <stop>) or line. "
            "Default: token."
        ),
    ] = None,
    label: options.Label = None,
    frame: options.FrameOfText = None,
    context_of_tokens: options.Context = None,
    heatmap: Annotated[
        bool, typer.Option("--heatmap", help="Show the text coloured by surprisal.")
    ] = False,
    pairs: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Minimal pairs to compare: lines of good sentence, bad sentence and group, "
            "separated by tabs, or JSON lines as in BLiMP.",
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
    mix: predictors.Mix = None,
    device: options.Device = "auto",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result of --pairs as JSON.")
    ] = False,
    as_json_lines: Annotated[
        bool, typer.Option("--jsonl", help="Print one JSON object per row.")
    ] = False,
) -> None:
    """Print the surprisal of every token of a text, in bits, as a table.

    On a terminal the columns are aligned, and those that do not fit are left out; pipes and files
    get all columns and digits, separated by tabs.

    Rows by word, sentence or line are sums with the same total. A word is a run of characters
    without white space. With tokens smaller than words, the surprisal of a word includes that of
    its end; white space before it counts only as far as the end of the last word left it open.
    Tabs, line breaks and backslashes of the text are written \\t, \\n, \\r and \\\\; unprintable
    bytes of a token are written \\xhh. With several texts, sentences are numbered consecutively,
    characters and lines from the start of each text, and a last column names the file.
    """
    check_file_names(names or [], "score")
    checkpoint, texts = checkpoint_and_texts(names or [])
    texts = folder_texts(texts)
    check_pairs(
        {
            "a text": bool(texts),
            "--by": by is not None,
            "--context": context_of_tokens is not None,
            "--heatmap": heatmap,
            "--jsonl": as_json_lines,
        },
        pairs=pairs is not None,
        dynamic=dynamic,
        as_json=as_json,
    )
    if pairs is None and not texts:
        raise ConfigError("name a text, or - for standard input.")
    if heatmap:
        check_heatmap(by, as_json_lines=as_json_lines)
    params = {**context.params, "context": context_of_tokens}
    evaluator, name = make_evaluator(checkpoint, params, device)
    if pairs is not None:
        report_pairs(evaluator, name, pairs, as_json=as_json)
    elif heatmap:
        paint(evaluator, texts, "word" if by == "word" else "token")
    else:
        write_rows(evaluator, texts, by or "token", as_json_lines=as_json_lines)


def check_pairs(given: dict[str, bool], *, pairs: bool, dynamic: bool, as_json: bool) -> None:
    """Check that the options are compatible with scoring pairs, or texts.

    Args:
        given: for each option that applies to texts only, whether it is given.
        pairs: --pairs is given.
        dynamic: --dynamic is given.
        as_json: --json is given.

    Raises:
        ConfigError: an option has no effect or cannot be combined with --pairs.
    """
    for name, there in given.items():
        if pairs and there:
            raise ConfigError(f"{name} has no effect beside --pairs; leave one of them out.")
    if pairs and dynamic:
        raise ConfigError(
            "--dynamic follows a running text, and --pairs judges each sentence by itself; leave "
            "one of them out."
        )
    if as_json and not pairs:
        raise ConfigError("--json has no effect without --pairs; --jsonl prints rows as JSON.")


def check_heatmap(by: ByName | None, *, as_json_lines: bool) -> None:
    """Check that the options are compatible with --heatmap.

    Raises:
        ConfigError: --by is not token or word, or --jsonl is given.
    """
    if by not in (None, "token", "word"):
        raise ConfigError(f"--heatmap colours by token or by word, not by {by}; change --by.")
    if as_json_lines:
        raise ConfigError("--heatmap and --jsonl exclude each other; choose one.")


def report_pairs(evaluator: "Evaluator", label: str, name: str, *, as_json: bool) -> None:
    """Score the minimal pairs in a file and print the accuracy, as a table or as JSON.

    Args:
        evaluator: scores the sentences.
        label: name of the model.
        name: file of the pairs.
        as_json: print JSON.

    Raises:
        TextError: the file cannot be read or is malformed.
    """
    from charlm.api import score_minimal_pairs
    from charlm.data import UserSource, read_pairs
    from charlm.display.pairs import show_pairs

    source = UserSource(name, any_bytes=evaluator.tokenizer.level == "byte")
    pairs = read_pairs(source, pretokenized=evaluator.tokenizer.pretokenized)
    scores = score_minimal_pairs(evaluator, pairs)
    if as_json:
        print(dump(finite(pairs_record(scores)), 2), end="")
    else:
        show_pairs(scores, f"{label} on {source.name}")


def pairs_record(scores: "GroupedPairScores") -> dict[str, Any]:
    """Return the JSON object of the results on minimal pairs: all pairs and each group."""

    def record(pairs: "PairScores") -> dict[str, Any]:
        return {
            "num_pairs": pairs.num_pairs,
            "num_right": pairs.num_right,
            "num_ties": pairs.num_ties,
            "accuracy": pairs.accuracy,
            "bits_per_pair": tidy(pairs.bits_per_pair),
        }

    groups = [{"group": name, **record(pairs)} for name, pairs in scores.groups.items()]
    return {**record(scores.together), "groups": groups}


def paint(evaluator: "Evaluator", texts: list[str], by: Literal["token", "word"]) -> None:
    """Print texts coloured by surprisal.

    Smaller units carry fewer bits, so a step of bar height is 3 bits for words, 1 bit for
    characters and bytes, and 2 bits for other tokens.
    """
    from charlm.api import score_files, shades
    from charlm.display.heatmap import show_heatmap

    tokenizer = evaluator.tokenizer
    read = score_files(evaluator, texts, by)
    painted = ((name, shades(tokens, tokenizer, by)) for name, tokens in read)
    bits_per_bar = 3 if by == "word" else 1 if tokenizer.level in ("char", "byte") else 2
    show_heatmap(painted, bits_per_bar=bits_per_bar, names=len(texts) > 1)


def write_rows(
    evaluator: "Evaluator", texts: list[str], by: ByName, *, as_json_lines: bool
) -> None:
    """Print a row for each token or segment as soon as it is scored."""
    rows = begun(score_rows(evaluator, texts, by))
    if as_json_lines:
        for row in rows:
            sys.stdout.write(dump(finite(row)))
        return
    names = (*NAMES[by], "file") if len(texts) > 1 else NAMES[by]
    if sys.stdout.isatty():
        from charlm.display.scores import show_rows

        show_rows(names, rows)
        return
    sys.stdout.write("\t".join(names) + "\n")
    for row in rows:
        sys.stdout.write("\t".join(map(cell, row.values())) + "\n")


def score_rows(evaluator: "Evaluator", texts: list[str], by: ByName) -> Iterator[Row]:
    """Yield the rows of all texts as mappings from column name to value.

    Sentences are numbered consecutively across texts. With several texts, a row has its file name.
    """
    from charlm.api import score_files, segments
    from charlm.evaluation import TokenSurprisal

    row_of = {"token": token_row, "word": token_row, "sentence": sentence_row, "line": line_row}
    before = 0  # number of sentences in the preceding texts
    for name, tokens in score_files(evaluator, texts, by):
        sentence = 0
        for each in segments(tokens, evaluator.tokenizer, by, evaluator.framing):
            sentence = each.sentence
            row = row_of[by](each, before + sentence)
            if isinstance(each, TokenSurprisal) and each.spells_bytes:
                row["token"] = Spelling(each.text)
            yield {**row, "file": name} if len(texts) > 1 else row
        before += sentence


def token_row(each: "Surprisal", sentence: int) -> Row:
    """Return the row of a token or a word."""
    return {
        "sentence_id": sentence,
        "token_id": each.place,
        "token": each.text,
        "surprisal": tidy(each.surprisal_bits),
        "entropy": None if each.entropy_bits is None else tidy(each.entropy_bits),
        "rank": each.rank,
        "other": each.num_other,
        "char_start": each.char_start,
        "char_end": each.char_end,
    }


def sentence_row(each: "Surprisal", sentence: int) -> Row:
    """Return the row of a sentence."""
    return {
        "sentence_id": sentence,
        "num_tokens": each.num_tokens,
        "surprisal": tidy(each.surprisal_bits),
        "other": each.num_other,
        "char_start": each.char_start,
        "char_end": each.char_end,
        "text": each.text,
    }


def line_row(each: "Surprisal", sentence: int) -> Row:
    """Return the row of a line, with the number of the sentence that contains its first token."""
    return {"line_id": each.place, **sentence_row(each, sentence)}


def tidy(bits: float) -> float:
    """Round a value in bits to 9 decimals."""
    return round(bits, DIGITS) + 0.0  # turns -0.0 into 0.0


def cell(value: str | float | None) -> str:
    """Format a value for a tab-separated table, with tabs, line breaks and backslashes escaped.

    The backslashes of a `Spelling` are not escaped again. None is an empty cell.
    """
    if isinstance(value, str):
        return value.translate(BREAKS if isinstance(value, Spelling) else ESCAPES)
    if value is None:
        return ""
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
