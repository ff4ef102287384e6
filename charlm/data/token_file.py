"""Token ids of one text in a memory-mapped file, with the counts that measures need.

A header of 4096 bytes (magic, then JSON, then spaces), then the ids in the smallest unsigned
integer type that holds the vocabulary.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from charlm.data.frames import Piece
from charlm.data.joined import JoinedTokens
from charlm.storage import atomic_file
from charlm.text import TokenIds, Tokenizer

MAGIC = b"charlm tokens 2\n"
HEADER_BYTES = 4096
BATCH_CHARS = 1 << 22  # enough for `tokenizers` to keep all cores busy


@dataclass(frozen=True, slots=True)
class TextCounts:
    """How much text the tokens stand for. Characters are code points, bytes those of UTF-8."""

    num_words: int = 0  # runs without white space
    num_chars: int = 0
    num_bytes: int = 0
    sha256: str = ""  # of those bytes


class TextCounter:
    """Counts the pieces of a text, each with the gap after it, as they go by."""

    def __init__(self) -> None:
        self._num_words = self._num_chars = self._num_bytes = 0
        self._digest = hashlib.sha256()
        self._in_word = False  # the last piece ends in the middle of a word, perhaps

    def add(self, piece: Piece) -> None:
        """Count one more piece."""
        text = piece.text + piece.gap
        octets = text.encode("utf-8", "surrogateescape")
        self._num_words += len(piece.text.split())
        if self._in_word and not piece.opens and not text[:1].isspace():
            self._num_words -= bool(piece.text)  # the word has been counted
        if text:
            self._in_word = not text[-1].isspace()
        self._num_chars += len(text)
        self._num_bytes += len(octets)
        self._digest.update(octets)

    @property
    def counts(self) -> TextCounts:
        """Of all pieces so far."""
        sha256 = self._digest.hexdigest()
        return TextCounts(self._num_words, self._num_chars, self._num_bytes, sha256)


@dataclass(frozen=True, slots=True)
class TokenFile:
    """All frames of a text in a row, `<start>` and `<stop>` included: shape (num_tokens,)."""

    tokens: NDArray[np.unsignedinteger] | JoinedTokens
    counts: TextCounts

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def array(self) -> NDArray[np.unsignedinteger]:
        """The tokens of a text that is one, not of several labels."""
        assert isinstance(self.tokens, np.ndarray)
        return self.tokens


def join_files(files: Sequence[TokenFile]) -> TokenFile:
    """Texts of several labels, those of label 0 first."""
    counts = [file.counts for file in files]
    total = TextCounts(
        num_words=sum(each.num_words for each in counts),
        num_chars=sum(each.num_chars for each in counts),
        num_bytes=sum(each.num_bytes for each in counts),
        sha256=hashlib.sha256("\n".join(each.sha256 for each in counts).encode()).hexdigest(),
    )
    return TokenFile(JoinedTokens([file.array for file in files]), total)


def token_dtype(vocab_size: int) -> np.dtype[np.unsignedinteger]:
    """The smallest unsigned type for ids below `vocab_size`."""
    return np.min_scalar_type(vocab_size - 1)


def write_token_file(path: Path, pieces: Iterable[Piece], tokenizer: Tokenizer) -> TokenFile:
    """Encode a stream of pieces into `path` in one step; memory does not grow with the text.

    Raises:
        StorageError: the file cannot be written.
    """
    counter = TextCounter()

    def encoded() -> Iterator[TokenIds]:
        for batch in batch_pieces(pieces):
            for piece in batch:
                counter.add(piece)
            yield join_frames(batch, tokenizer)

    dtype = token_dtype(tokenizer.vocab_size)
    return write_tokens(path, encoded(), dtype, lambda: counter.counts)


def write_tokens(
    path: Path,
    batches: Iterable[NDArray[np.unsignedinteger]],
    dtype: np.dtype[np.unsignedinteger],
    counts: Callable[[], TextCounts],
) -> TokenFile:
    """Write tokens that come in batches; the text's counts are asked for after the last."""
    num_tokens = 0
    with atomic_file(path) as file:
        file.write(bytes(HEADER_BYTES))
        for batch in batches:
            tokens = np.ascontiguousarray(batch, dtype)
            num_tokens += len(tokens)
            file.write(tokens.data)
        header = {"dtype": dtype.name, "num_tokens": num_tokens, "counts": asdict(counts())}
        file.seek(0)
        file.write((MAGIC + json.dumps(header).encode()).ljust(HEADER_BYTES))
    return open_token_file(path)


def open_token_file(path: Path) -> TokenFile:
    """Map a token file into memory.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged.
    """
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if not head.startswith(MAGIC):
        raise ValueError(f"{path} is not a token file")
    try:
        header = json.loads(head[len(MAGIC) :])
        dtype, num_tokens = np.dtype(header["dtype"]), int(header["num_tokens"])
        counts = TextCounts(**header["counts"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} has a damaged header") from error
    if path.stat().st_size != HEADER_BYTES + num_tokens * dtype.itemsize:
        raise ValueError(f"{path} is cut short")
    if num_tokens == 0:  # nothing to map
        return TokenFile(np.zeros(0, dtype), counts)
    tokens = np.memmap(path, dtype, mode="r", offset=HEADER_BYTES, shape=(num_tokens,))
    return TokenFile(tokens, counts)


def join_frames(pieces: Iterable[Piece], tokenizer: Tokenizer) -> TokenIds:
    """Ids of the pieces in a row, with `<start>` and `<stop>` where frames open and close."""
    pieces = list(pieces)
    start = np.array([tokenizer.start_id], dtype=np.uint32)
    stop = np.array([tokenizer.stop_id], dtype=np.uint32)
    joined: list[TokenIds] = [start[:0]]
    encoded = tokenizer.encode_batch([piece.text for piece in pieces])
    for piece, ids in zip(pieces, encoded, strict=True):
        joined += [start] * piece.opens + [ids] + [stop] * piece.closes
    return np.concatenate(joined)


def batch_pieces(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Group pieces into lists of some `BATCH_CHARS` characters."""
    batch: list[Piece] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += piece.num_chars
        if size >= BATCH_CHARS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
