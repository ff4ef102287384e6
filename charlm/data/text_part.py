"""One part of the texts of a corpus: its frames, as pieces of text."""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from charlm.data.frames import Framing, Piece, frame_pieces
from charlm.data.sources import Source


class TextPart:
    """The frames that begin at characters `start` .. `end` of some texts in a row.

    Going through it gives the texts a vocabulary is built from; it can be done again and again.
    A document is cut at the boundary itself, and both sides are documents, unless documents are to
    stay whole.
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
        """The pieces of the part, in order."""
        documents = (frame_pieces(source.texts(), self.framing) for source in self._sources)
        pieces = chain.from_iterable(documents)
        if self.framing.frame == "document" and not self._whole_documents:
            return slice_documents(pieces, self._start, self._end, self._whole_words)
        return select_frames(pieces, self._start, self._end)


def select_frames(pieces: Iterable[Piece], start: int, end: int) -> Iterator[Piece]:
    """The frames whose first character lies in `start` .. `end`."""
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
    """The characters `start` .. `end`, as documents.

    With `whole_words` the rest of a word goes with its beginning.
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
    """Each piece with its offset, cut in two where a bound falls inside it."""
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
    """One part of the texts of each label, the labels in the order of their names."""

    def __init__(self, parts: Mapping[str, TextPart]) -> None:
        self.by_label = dict(parts)

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.by_label.values())

    def pieces(self) -> Iterator[Piece]:
        """The pieces of all labels, one label after the other."""
        return chain.from_iterable(part.pieces() for part in self.by_label.values())
