"""One split of a corpus: its frames, as pieces of text."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from charlm.data.frames import Framing, Piece, frame_pieces
from charlm.data.sources import Source


class TextPart:
    """Frames that begin within characters `start` .. `end` of the concatenated texts.

    Iteration yields the text of the pieces, to build a vocabulary from, and can be repeated. A
    document is cut at the bounds themselves, and both sides are documents, unless
    `whole_documents` is set. With `whole_words`, documents are not cut inside a word.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        framing: Framing,
        start: int = 0,
        end: int = sys.maxsize,
        *,
        whole_words: bool = True,
        whole_documents: bool = False,
    ) -> None:
        self.framing = framing
        self._sources = sources
        self._start = start
        self._end = end
        self._whole_words = whole_words
        self._whole_documents = whole_documents

    def __iter__(self) -> Iterator[str]:
        return (piece.text for piece in self.pieces() if piece.text)

    def pieces(self) -> Iterator[Piece]:
        """Return the pieces of the split, in order."""
        documents = (frame_pieces(source.texts(), self.framing) for source in self._sources)
        pieces = chain.from_iterable(documents)
        if self.framing.frame == "document" and not self._whole_documents:
            return slice_documents(pieces, self._start, self._end, self._whole_words)
        return select_frames(pieces, self._start, self._end)


def select_frames(pieces: Iterable[Piece], start: int, end: int) -> Iterator[Piece]:
    """Yield the pieces of frames whose first character is in `start` .. `end` (exclusive)."""
    offset = begin = 0
    for piece in pieces:
        if piece.opens or not (piece.text or piece.closes):
            begin = offset
        if begin >= end:
            return
        if begin >= start:
            yield piece
        offset += piece.num_chars


def slice_documents(
    pieces: Iterable[Piece], start: int, end: int, whole_words: bool
) -> Iterator[Piece]:
    """Yield the pieces of the characters `start` .. `end` (exclusive), as documents.

    With `whole_words`, a word at a bound belongs to the side of its beginning.
    """
    held: Piece | None = None
    for offset, piece in cut_pieces(pieces, (start, end), whole_words):
        if offset >= end:
            break
        if offset < start:
            continue
        if held is None:
            held = replace(piece, opens=True)
        else:
            yield held
            held = piece
    if held is not None:
        yield replace(held, closes=True)


def cut_pieces(
    pieces: Iterable[Piece], bounds: Sequence[int], whole_words: bool
) -> Iterator[tuple[int, Piece]]:
    """Yield each piece with its offset in characters, cut in two if a bound is inside it.

    With `whole_words`, the cut is moved to the next white space, or to the end of the piece.
    """
    offset = 0
    for piece in pieces:
        for bound in bounds:
            position = bound - offset
            if whole_words and 0 < position < len(piece.text):
                space = re.compile(r"\s").search(piece.text, position)
                position = space.start() if space else len(piece.text)
            if 0 < position < len(piece.text):
                head, piece = piece.cut(position)
                yield offset, head
                offset += position
        yield offset, piece
        offset += piece.num_chars


class LabelledPart:
    """One split of the texts of each label, sorted by label."""

    def __init__(self, parts: Mapping[str, TextPart]) -> None:
        self.by_label = dict(parts)

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.by_label.values())

    def pieces(self) -> Iterator[Piece]:
        """Return the pieces of all labels, one label after another."""
        return chain.from_iterable(part.pieces() for part in self.by_label.values())
