"""Surprisal of each token of a text, with its position in the text."""

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

WHITE_SPACE = " \t\n\r\v\f"  # separates words, at every level

ANY_LINE_ENDING = re.compile(r"\r\n|\n|\r")
LF_LINE_ENDING = re.compile(r"\r?\n")

ScoreRow = tuple[int, float, float | None, int | None, float | None]
NO_ROW: ScoreRow = (-1, math.nan, None, None, None)  # marks the end of the scores


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenSurprisal:
    """Surprisal of one predicted token and its position in the text.

    A sentence ends at `<stop>`. It is a frame, or a part of one if a pretokenized text contains
    `<eos>` within a frame. Characters are code points of the whole text, counted from 0; sentences,
    places and lines are counted from 1. The `<stop>` of a frame covers no characters: it is at the
    end of the frame, on the line of the last character there.
    """

    token: int
    text: str  # readable form of the token; for <other>, the text that it stands for
    nats: float
    entropy: float | None  # of the distribution, in nats; None: not requested, also below
    rank: int | None  # 1 + the number of more probable tokens
    ending: float | None  # -log P, in nats, of white space or <stop> at this position
    sentence: int
    place: int  # position in the sentence
    line: int  # line in which it begins
    char_start: int
    char_end: int
    source: str  # the text from the end of the token before it to its own end
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
        r"""Return whether the backslashes in `text` escape bytes, as in `\xhh`."""
        return "\\" in self.text and "\\" not in self.own

    @property
    def skipped(self) -> str:
        """Text before the token that belongs to no token: white space between words or frames."""
        return self.source[: len(self.source) - len(self.own)]

    @property
    def own(self) -> str:
        """Text that the token covers, without a character that the token before it begins."""
        size = min(len(self.source), self.char_end - self.char_start)
        return self.source[len(self.source) - size :]


def token_surprisals(
    pieces: Iterable[Piece],
    tokenizer: Tokenizer,
    scores: Iterable[TokenScores],
    line_ending: re.Pattern[str] = ANY_LINE_ENDING,
) -> Iterator[TokenSurprisal]:
    """Yield each token of a text with its scores; the text is never in memory as a whole.

    Args:
        pieces: pieces of whole frames, in order.
        tokenizer: the tokenizer of the scored tokens.
        scores: scores of all tokens of these pieces except `<start>`, in chunks of any size.
        line_ending: pattern that ends a line, from `find_line_ending`.

    Raises:
        TextError: the scores are of other tokens, for example because the text has changed.
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
    """Return the pattern that ends a line in texts with this framing."""
    if framing.line_endings == "lf" or (framing.pretokenized and framing.frame == "line"):
        return LF_LINE_ENDING
    return ANY_LINE_ENDING


def check_same(scored: int, read: int) -> None:
    """Check that a scored token is the token read now.

    A text is read once to be scored and a second time to match scores with tokens.

    Raises:
        TextError: the tokens differ.
    """
    if scored != read:
        raise TextError("the text changed while it was read; run it again.")


def ending_tokens(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the tokens that end the word before them.

    These are the tokens that begin with white space, and `<stop>`.
    """
    symbols = range(tokenizer.num_symbols)
    spaces = [token for token in symbols if begins_with_space(tokenizer.decode([token]))]
    return (*spaces, tokenizer.stop_id)


def begins_with_space(text: str) -> bool:
    """Return whether the first character is ASCII white space."""
    return text != "" and text[0] in WHITE_SPACE


def encoded_pieces(
    pieces: Iterable[Piece], tokenizer: Tokenizer
) -> Iterator[tuple[Piece, TokenIds, Spans]]:
    """Yield each piece with its token ids and their spans in it, (num_tokens, 2)."""
    for batch in batch_pieces(pieces):
        encoded = tokenizer.encode_spans([piece.text for piece in batch])
        for piece, (ids, spans) in zip(batch, encoded, strict=True):
            yield piece, ids, spans


def score_rows(scores: Iterable[TokenScores]) -> Iterator[ScoreRow]:
    """Yield target, nats, entropy, rank and ending of each token."""
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
    """Position in a text at which the next piece begins."""

    def __init__(self, stop_id: int, line_ending: re.Pattern[str]) -> None:
        self.sentence = 1
        self.place = 0  # tokens of the sentence so far
        self._ended = False  # the last token was <stop>
        self._stop_id = stop_id
        self._line_ending = line_ending
        self._offset = 0  # characters so far
        self._line = 1
        self._last_line = 1  # line of the last character of the frame
        self._skipped = ""  # the text since the last token

    def enter(
        self, piece: Piece, ids: TokenIds, spans: Spans
    ) -> list[tuple[int, int, int, int, str]]:
        """Return the token, start, end, line and source of each token, including `<stop>`."""
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
        """Advance to a token: the next of the sentence, or the first of the next sentence."""
        if self._ended:
            self.sentence, self.place = self.sentence + 1, 0
        self.place += 1
        self._ended = token == self._stop_id

    def leave(self, piece: Piece) -> None:
        """Advance past the piece and the gap after it."""
        self._skipped += piece.gap
        self._offset += piece.num_chars
        for text in (piece.text, piece.gap):
            self._line += sum(1 for _ in self._line_ending.finditer(text))
