"""Surprisal of each token of a text, and where in the text it is."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from charlm.data import Framing, Piece, batch_pieces
from charlm.errors import TextError
from charlm.evaluation.result import BITS_PER_NAT
from charlm.evaluation.token_scores import TokenScores
from charlm.text import Spans, TokenIds, Tokenizer

WHITE_SPACE = " \t\n\r\v\f"  # what parts words, at every level

ANY_LINE_ENDING = re.compile(r"\r\n|\n|\r")
LF_LINE_ENDING = re.compile(r"\r?\n")

ScoreRow = tuple[int, float, float | None, int | None, float | None]
NO_ROW: ScoreRow = (-1, math.nan, None, None, None)  # of no token


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenSurprisal:
    """One predicted token: how much it surprised, and where it is.

    A sentence is what `<stop>` ends: a frame, or less where a pretokenized text writes `<eos>`
    within one. Characters are code points of the whole text, counted from 0; sentences, places and
    lines are counted from 1. The `<stop>` of a frame is an empty place at its end, on the line of
    the last character there.
    """

    token: int
    text: str  # the token as a reader would write it; for <other>, what it stands for
    nats: float
    entropy: float | None  # in nats, of what was expected here; None: not asked for, as below
    rank: int | None  # 1 + the number of likelier tokens
    ending: float | None  # -log P, in nats, that white space or <stop> came here
    sentence: int
    place: int  # in the sentence
    line: int  # where it begins
    char_start: int
    char_end: int
    source: str  # the text after the token before it, up to its own end
    is_other: bool
    is_stop: bool

    @property
    def surprisal_bits(self) -> float:
        return self.nats * BITS_PER_NAT

    @property
    def entropy_bits(self) -> float | None:
        return None if self.entropy is None else self.entropy * BITS_PER_NAT

    @property
    def num_tokens(self) -> int:
        return 1

    @property
    def num_other(self) -> int:
        return int(self.is_other)

    @property
    def spells_bytes(self) -> bool:
        """Whether the backslashes of `text` are none of the text's: `\\xhh` is a byte."""
        return "\\" in self.text and "\\" not in self.own

    @property
    def skipped(self) -> str:
        """The text before it that belongs to no token: white space between words or frames."""
        return self.source[: len(self.source) - len(self.own)]

    @property
    def own(self) -> str:
        """The text it covers, but for a character whose first part is the token before it."""
        size = min(len(self.source), self.char_end - self.char_start)
        return self.source[len(self.source) - size :]


def token_surprisals(
    pieces: Iterable[Piece],
    tokenizer: Tokenizer,
    scores: Iterable[TokenScores],
    line_ending: re.Pattern[str] = ANY_LINE_ENDING,
) -> Iterator[TokenSurprisal]:
    """Bring each token of a text together with its scores; the text is never held as a whole.

    Args:
        pieces: of whole frames.
        tokenizer: the one that the scored tokens come from.
        scores: of all tokens of these pieces but `<start>`, in chunks of any size.
        line_ending: what ends a line, as of `find_line_ending`.

    Raises:
        TextError: the scores are of other tokens, as where the text has changed since.
    """
    texts = [tokenizer.token(token) for token in range(tokenizer.vocab_size)]
    rows = score_rows(scores)
    cursor = Cursor(tokenizer.stop_id, line_ending)
    for piece, ids, spans in encoded_pieces(pieces, tokenizer):
        for token, start, end, line, source in cursor.enter(piece, ids, spans):
            target, nats, entropy, rank, ending = next(rows, NO_ROW)
            check_same(target, token)
            cursor.count(token)
            is_other = token == tokenizer.other_id
            yield TokenSurprisal(
                token=token,
                text=source[start - end :] if is_other else texts[token],
                nats=nats,
                entropy=entropy,
                rank=rank,
                ending=ending,
                sentence=cursor.sentence,
                place=cursor.place,
                line=line,
                char_start=start,
                char_end=end,
                source=source,
                is_other=is_other,
                is_stop=token == tokenizer.stop_id,
            )
        cursor.leave(piece)
    check_same(next(rows, NO_ROW)[0], NO_ROW[0])


def find_line_ending(framing: Framing) -> re.Pattern[str]:
    """What ends a line where texts are cut into frames in this way."""
    if framing.line_endings == "lf" or (framing.pretokenized and framing.frame == "line"):
        return LF_LINE_ENDING
    return ANY_LINE_ENDING


def check_same(scored: int, read: int) -> None:
    """A text is read once to be scored, and again to say which token each score is of.

    Raises:
        TextError: it was not the same.
    """
    if scored != read:
        raise TextError("the text changed while it was read; run it again.")


def ending_tokens(tokenizer: Tokenizer) -> tuple[int, ...]:
    """The tokens that end a word before them: those that begin with white space, and `<stop>`."""
    symbols = range(tokenizer.num_symbols)
    spaces = [token for token in symbols if begins_with_space(tokenizer.decode([token]))]
    return (*spaces, tokenizer.stop_id)


def begins_with_space(text: str) -> bool:
    """Whether its first character is ASCII white space."""
    return text != "" and text[0] in WHITE_SPACE


def encoded_pieces(
    pieces: Iterable[Piece], tokenizer: Tokenizer
) -> Iterator[tuple[Piece, TokenIds, Spans]]:
    """Each piece with its tokens and their places in it."""
    for batch in batch_pieces(pieces):
        encoded = tokenizer.encode_spans([piece.text for piece in batch])
        for piece, (ids, spans) in zip(batch, encoded, strict=True):
            yield piece, ids, spans


def score_rows(scores: Iterable[TokenScores]) -> Iterator[ScoreRow]:
    """Target, nats, entropy, rank and ending of one token after the other."""
    for chunk in scores:
        missing: list[None] = [None] * len(chunk)
        yield from zip(
            chunk.targets.tolist(),
            chunk.nats.tolist(),
            missing if chunk.entropy is None else chunk.entropy.tolist(),
            missing if chunk.rank is None else chunk.rank.tolist(),
            missing if chunk.ending is None else chunk.ending.tolist(),
            strict=True,
        )


class Cursor:
    """Where in a text its next piece begins."""

    def __init__(self, stop_id: int, line_ending: re.Pattern[str]) -> None:
        self.sentence = 1
        self.place = 0  # tokens of the sentence so far
        self._ended = False  # the sentence is over
        self._stop_id = stop_id
        self._line_ending = line_ending
        self._offset = 0  # characters so far
        self._line = 1
        self._last_line = 1  # that of the last character of the frame
        self._skipped = ""  # the text since the last token

    def enter(
        self, piece: Piece, ids: TokenIds, spans: Spans
    ) -> list[tuple[int, int, int, int, str]]:
        """Token, start, end, line and source of each token of the piece, `<stop>` included."""
        text = piece.text
        breaks = [match.end() - 1 for match in self._line_ending.finditer(text)]
        if piece.opens:
            self._last_line = self._line
        if text:
            self._last_line = self._line + int(np.searchsorted(breaks, len(text) - 1))
        tokens, starts, ends = ids.tolist(), spans[:, 0].tolist(), spans[:, 1].tolist()
        lines = (self._line + np.searchsorted(breaks, starts)).tolist()
        if piece.closes:
            tokens, lines = [*tokens, self._stop_id], [*lines, self._last_line]
            starts, ends = [*starts, len(text)], [*ends, len(text)]
        sources = [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]
        if sources:
            sources[0] = self._skipped + sources[0]
            self._skipped = ""
        self._skipped += text[ends[-1] if ends else 0 :]
        starts, ends = ([self._offset + at for at in places] for places in (starts, ends))
        return list(zip(tokens, starts, ends, lines, sources, strict=True))

    def count(self, token: int) -> None:
        """Go on to a token: the next of its sentence, or the first of the next one."""
        if self._ended:
            self.sentence, self.place = self.sentence + 1, 0
        self.place += 1
        self._ended = token == self._stop_id

    def leave(self, piece: Piece) -> None:
        """Go on behind the piece and the gap after it."""
        self._skipped += piece.gap
        self._offset += piece.num_chars
        for text in (piece.text, piece.gap):
            self._line += sum(1 for _ in self._line_ending.finditer(text))
