"""Surprisal of texts by token, word, sentence or line, and scores of minimal pairs."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args, overload

import numpy as np
from numpy.typing import NDArray

from charlm.data import Framing, MinimalPair, TextAtHand, TextPart
from charlm.errors import ConfigError, TextError
from charlm.evaluation import (
    GroupedPairScores,
    Segment,
    TokenScores,
    TokenSurprisal,
    by_line,
    by_sentence,
    by_word,
    find_line_ending,
    score_pairs,
    token_surprisals,
)
from charlm.text import Tokenizer

By = Literal["token", "word", "sentence", "line"]
Surprisal = TokenSurprisal | Segment


class Scorer(Protocol):
    """Interface of objects that score texts, such as `Evaluator`."""

    tokenizer: Tokenizer
    framing: Framing

    @property
    def knows_word_ends(self) -> bool:
        """True if the probability of a word end can be computed."""
        ...

    def read_file(self, path: str) -> TextPart:
        """Return the text at `path`, cut into frames."""
        ...

    def token_scores(self, text: TextPart, *, details: bool) -> Iterator[TokenScores]:
        """Yield the scores of each token of a text, with entropy and rank if `details`."""
        ...

    def log_probs(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return log P in nats of each text as a separate sentence: (len(texts),)."""
        ...


@dataclass(frozen=True, slots=True)
class Shade:
    """Stretch of text with its surprisal in bits; None if the model does not predict it."""

    text: str
    bits: float | None


@overload
def score_text(scorer: Scorer, text: str) -> Iterator[TokenSurprisal]: ...
@overload
def score_text(scorer: Scorer, text: str, by: Literal["token"]) -> Iterator[TokenSurprisal]: ...
@overload
def score_text(
    scorer: Scorer, text: str, by: Literal["word", "sentence", "line"]
) -> Iterator[Segment]: ...
@overload
def score_text(scorer: Scorer, text: str, by: By) -> Iterator[Surprisal]: ...
def score_text(scorer: Scorer, text: str, by: By = "token") -> Iterator[Surprisal]:
    """Yield the surprisal of each token, word, sentence or line of a string.

    Raises:
        ConfigError: `by` is unknown, or is `word` for a model that cannot compute word ends.
        TextError: the text is empty, or has characters that are not valid text for the model.
    """
    if by not in get_args(By):
        raise ConfigError(f"by must be token, word, sentence or line, not {by!r}.")
    if not text:
        raise TextError("the text is empty; there is nothing to score.")
    check_characters(text, any_bytes=scorer.tokenizer.level == "byte")
    part = TextPart([TextAtHand(text)], scorer.framing)
    return segments(surprisals(scorer, part, by), scorer.tokenizer, by, scorer.framing)


def score_files(
    scorer: Scorer, paths: Sequence[str], by: By
) -> Iterator[tuple[str, Iterator[TokenSurprisal]]]:
    """Yield each path with the token surprisals of its file (`-` is standard input).

    The surprisals have the details that `segments` needs for `by`. All files are read to the end
    before this function returns, so an unreadable file is reported before any scoring.

    Raises:
        ConfigError: `by` is `word`, but the model cannot compute word ends (during iteration).
        TextError: a file cannot be read or is empty.
    """
    parts = [scorer.read_file(path) for path in paths]
    for part in parts:
        deque(part.pieces(), maxlen=0)
    return ((path, surprisals(scorer, part, by)) for path, part in zip(paths, parts, strict=True))


def surprisals(scorer: Scorer, part: TextPart, by: By) -> Iterator[TokenSurprisal]:
    """Return the token surprisals of a text, with entropy and rank if `by` is token or word.

    Raises:
        ConfigError: `by` is `word`, which requires a forward model or a word-level tokenizer.
    """
    if by == "word" and not scorer.knows_word_ends and scorer.tokenizer.level != "word":
        raise ConfigError(
            "who reads backwards knows words only if they are its tokens; score by token, sentence "
            "or line."
        )
    scores = scorer.token_scores(part, details=by in ("token", "word"))
    ending = find_line_ending(scorer.framing)
    return token_surprisals(part.pieces(), scorer.tokenizer, scores, ending)


def segments(
    tokens: Iterable[TokenSurprisal], tokenizer: Tokenizer, by: By, framing: Framing
) -> Iterator[Surprisal]:
    """Return the surprisal of each token, or its sums by word, sentence or line.

    `framing` is that of the text; it determines the line endings.
    """
    match by:
        case "token":
            return iter(tokens)
        case "word":
            return by_word(tokens, tokenizer)
        case "sentence":
            return by_sentence(tokens)
        case "line":
            return by_line(tokens, find_line_ending(framing))


def shades(
    tokens: Iterable[TokenSurprisal], tokenizer: Tokenizer, by: Literal["token", "word"]
) -> Iterator[Shade]:
    """Yield a text up to its last `<stop>` in stretches: each token or word with its surprisal.

    Tokens that form one character together are one stretch. `<stop>` is left out. Text between
    tokens or words has a surprisal of None.
    """
    tape = Tape(tokens)
    shade: Shade | None = None
    for each in tape if by == "token" else by_word(tape, tokenizer):
        if each.is_stop:
            continue
        skipped, text = tape.cut(each.char_start), tape.cut(each.char_end)
        if shade is not None and shade.bits is not None and not text:
            shade = replace(shade, bits=shade.bits + each.surprisal_bits)
            continue
        if shade is not None:
            yield shade
        if skipped:
            yield Shade(skipped, None)
        shade = Shade(text, each.surprisal_bits)
    if shade is not None:
        yield shade
    if rest := tape.rest():
        yield Shade(rest, None)


class Tape:
    """Iterator over tokens that collects their text, to be cut off piece by piece."""

    def __init__(self, tokens: Iterable[TokenSurprisal]) -> None:
        self._tokens = tokens
        self._text = ""  # not cut off yet
        self._start = 0  # offset of `_text` in characters

    def __iter__(self) -> Iterator[TokenSurprisal]:
        for token in self._tokens:
            self._text += token.source
            yield token

    def cut(self, end: int) -> str:
        """Return and remove the collected text up to offset `end`; empty if already cut off."""
        size = max(0, end - self._start)
        cut, self._text = self._text[:size], self._text[size:]
        self._start += size
        return cut

    def rest(self) -> str:
        """Return and remove the text that is left."""
        return self.cut(self._start + len(self._text))


def score_minimal_pairs(scorer: Scorer, pairs: Sequence[MinimalPair]) -> GroupedPairScores:
    """Return how often the good sentence is more probable than the bad one.

    Pairs whose sentences have the same tokens count as equally probable.
    """
    sentences = [pair.good for pair in pairs], [pair.bad for pair in pairs]
    log_probs = scorer.log_probs([*sentences[0], *sentences[1]])
    good, bad = log_probs[: len(pairs)], log_probs[len(pairs) :]
    tokens = zip(*(scorer.tokenizer.encode_batch(texts) for texts in sentences), strict=True)
    same = np.array([np.array_equal(one, other) for one, other in tokens])
    return score_pairs([pair.group for pair in pairs], good, np.where(same, good, bad))


def check_characters(text: str, *, any_bytes: bool) -> None:
    """Check that a string has only characters that a file could hold.

    Args:
        text: may come from Python code, and so have lone surrogates.
        any_bytes: True allows bytes that are not UTF-8 (as surrogate escapes), for byte models.

    Raises:
        TextError: the text has a lone surrogate that is not allowed.
    """
    try:
        text.encode("utf-8", "surrogateescape" if any_bytes else "strict")
    except UnicodeEncodeError as error:
        raise TextError(
            f"character {error.start:,} of the text is no text but {text[error.start]!r}; leave "
            "it out."
        ) from None
