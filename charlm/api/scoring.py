"""Texts scored token by token, by word, sentence or line; and minimal pairs."""

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
    """What scores texts; an `Evaluator` does."""

    tokenizer: Tokenizer
    framing: Framing

    @property
    def knows_word_ends(self) -> bool:
        """Whether it can say how probable it is that a word ends here."""
        ...

    def read_file(self, path: str) -> TextPart:
        """A text by name."""
        ...

    def token_scores(self, text: TextPart, *, details: bool) -> Iterator[TokenScores]:
        """What is said of each token of a text."""
        ...

    def log_probs(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Log P in nats of each text as a sentence of its own."""
        ...


@dataclass(frozen=True, slots=True)
class Shade:
    """A stretch of text with its surprisal; None where the model says nothing of it."""

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
    """Surprisal of a text that is at hand.

    Raises:
        ConfigError: there are no such rows as `by` names.
        TextError: it is empty, or holds what is no text for such a model.
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
    """The tokens of each file (`-` is standard input), with what `segments` needs for `by`.

    All of them are read to the end before this returns: what cannot be read is told at once.

    Raises:
        TextError: a file cannot be read or is empty.
    """
    parts = [scorer.read_file(path) for path in paths]
    for part in parts:
        deque(part.pieces(), maxlen=0)
    return ((path, surprisals(scorer, part, by)) for path, part in zip(paths, parts, strict=True))


def surprisals(scorer: Scorer, part: TextPart, by: By) -> Iterator[TokenSurprisal]:
    """The tokens of a text, with entropies and ranks where single tokens can show them.

    Raises:
        ConfigError: words are asked for whose beginnings the model cannot know.
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
    """The tokens themselves, or their sums; `framing` is that of the text."""
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
    """All of a text up to the last `<stop>`, each token or word with its surprisal.

    Tokens that make up one character are one; `<stop>` is left out.
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
    """Tokens as they go by, and the text that has gone by with them."""

    def __init__(self, tokens: Iterable[TokenSurprisal]) -> None:
        self._tokens = tokens
        self._text = ""  # what has not been cut off yet
        self._start = 0  # where that begins

    def __iter__(self) -> Iterator[TokenSurprisal]:
        for token in self._tokens:
            self._text += token.source
            yield token

    def cut(self, end: int) -> str:
        """The text up to a place, if it is not cut off already."""
        size = max(0, end - self._start)
        cut, self._text = self._text[:size], self._text[size:]
        self._start += size
        return cut

    def rest(self) -> str:
        """What is left."""
        return self.cut(self._start + len(self._text))


def score_minimal_pairs(scorer: Scorer, pairs: Sequence[MinimalPair]) -> GroupedPairScores:
    """How often the good sentence is likelier; as likely where both are the same to the model."""
    sentences = [pair.good for pair in pairs], [pair.bad for pair in pairs]
    log_probs = scorer.log_probs([*sentences[0], *sentences[1]])
    good, bad = log_probs[: len(pairs)], log_probs[len(pairs) :]
    tokens = zip(*(scorer.tokenizer.encode_batch(texts) for texts in sentences), strict=True)
    same = np.array([np.array_equal(one, other) for one, other in tokens])
    return score_pairs([pair.group for pair in pairs], good, np.where(same, good, bad))


def check_characters(text: str, *, any_bytes: bool) -> None:
    """A string may hold what no file does.

    Raises:
        TextError: half a character, or a byte that is no text for a model of text.
    """
    try:
        text.encode("utf-8", "surrogateescape" if any_bytes else "strict")
    except UnicodeEncodeError as error:
        raise TextError(
            f"character {error.start:,} of the text is no text but {text[error.start]!r}; leave "
            "it out."
        ) from None
