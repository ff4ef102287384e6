"""Token ids of one text in a memory-mapped file, with the counts that measures need.

A header of 4096 bytes, then the ids in the smallest unsigned integer type that holds the
vocabulary. The header is a line that names the format, a line with the CRC-32 of the rest of the
header, then JSON and spaces. The JSON holds the CRC-32 of the ids, the file's name, the size of the
vocabulary, and the counts. All of it is verified each time a file is opened.
"""

import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from charlm.data.frames import Piece
from charlm.data.joined import JoinedTokens
from charlm.errors import StorageError
from charlm.storage import replacement
from charlm.text import TokenIds, Tokenizer
from charlm.untrusted import open_regular

MAGIC = b"charlm tokens 3\n"
HEADER_BYTES = 4096
CHECKSUM_BYTES = 9  # of the header's own: 8 hexadecimal digits and a line break
BLOCK_BYTES = 1 << 20  # verified at a time, small enough for a processor's cache
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

    return write_tokens(path, encoded(), tokenizer.vocab_size, lambda: counter.counts)


def write_tokens(
    path: Path,
    batches: Iterable[NDArray[np.unsignedinteger]],
    vocab_size: int,
    counts: Callable[[], TextCounts],
) -> TokenFile:
    """Write tokens that come in batches; the text's counts are asked for after the last.

    Raises:
        StorageError: the file cannot be written, or does not hold what was written.
    """
    dtype = token_dtype(vocab_size)
    num_tokens = checksum = 0
    with replacement(path) as file:
        file.write(bytes(HEADER_BYTES))
        for batch in batches:
            tokens = np.ascontiguousarray(batch, dtype)
            num_tokens += len(tokens)
            checksum = zlib.crc32(tokens.data, checksum)
            file.write(tokens.data)
        header = {
            "name": path.name,
            "dtype": dtype.name,
            "vocab_size": vocab_size,
            "num_tokens": num_tokens,
            "crc32": checksum,
            "counts": asdict(counts()),
        }
        file.seek(0)
        file.write(pack_header(header))
    try:
        return open_token_file(path, vocab_size)
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{path} does not hold what was written into it; check the disk."
        ) from error


def pack_header(header: dict[str, Any]) -> bytes:
    """The bytes of a header, the checksum of its content included."""
    content = json.dumps(header).encode().ljust(HEADER_BYTES - len(MAGIC) - CHECKSUM_BYTES)
    packed = MAGIC + pack_checksum(content) + content
    assert len(packed) == HEADER_BYTES
    return packed


def pack_checksum(content: bytes) -> bytes:
    """The line of a header that has the CRC-32 of what follows."""
    return b"%08x\n" % zlib.crc32(content)


def open_token_file(path: Path, vocab_size: int) -> TokenFile:
    """Map a token file into memory, once every byte of it has been verified.

    Args:
        path: the file, under the name it was written with.
        vocab_size: of the tokenizer that made it; ids are below it.

    Raises:
        OSError: there is none, or it cannot be read.
        ValueError: it is damaged, or of another kind, name or vocabulary.
    """
    with open_regular(path) as file:
        header = read_header(file, path)
        dtype = token_dtype(vocab_size)
        num_tokens, counts = header["num_tokens"], read_counts(header["counts"])
        expected = {"name": path.name, "dtype": dtype.name, "vocab_size": vocab_size}
        if any(header[name] != value for name, value in expected.items()):
            raise ValueError(f"{path} is of another name or vocabulary")
        if not is_count(num_tokens):
            raise ValueError(f"{path} has a damaged header")
        if os.fstat(file.fileno()).st_size != HEADER_BYTES + num_tokens * dtype.itemsize:
            raise ValueError(f"{path} is cut short")
        check_tokens(file, path, header["crc32"], dtype, vocab_size)
        if num_tokens == 0:  # nothing to map
            return TokenFile(np.zeros(0, dtype), counts)
        tokens = np.memmap(file, dtype, mode="r", offset=HEADER_BYTES, shape=(num_tokens,))
    return TokenFile(tokens, counts)


def read_header(file: BinaryIO, path: Path) -> dict[str, Any]:
    """The header of a token file, each of its bytes verified, its values not yet.

    Raises:
        ValueError: it is damaged, or not that of a token file.
    """
    head = file.read(HEADER_BYTES)
    if not head.startswith(MAGIC) or len(head) != HEADER_BYTES:
        raise ValueError(f"{path} is not a token file")
    damaged = ValueError(f"{path} has a damaged header")
    checksum, content = head[len(MAGIC) :][:CHECKSUM_BYTES], head[len(MAGIC) + CHECKSUM_BYTES :]
    if checksum != pack_checksum(content):
        raise damaged
    try:
        header = json.loads(content)
    except RecursionError:  # it is nested, which charlm's own are not
        raise damaged from None
    names = {"name", "dtype", "vocab_size", "num_tokens", "crc32", "counts"}
    if not isinstance(header, dict) or header.keys() != names:
        raise damaged
    return header


def read_counts(found: Any) -> TextCounts:
    """The counts in a header.

    Raises:
        ValueError: they are no counts.
    """
    known = asdict(TextCounts())
    if not isinstance(found, dict) or found.keys() != known.keys():
        raise ValueError(f"{found!r} are not the counts of a text")
    sha256 = found["sha256"]
    numbers = [value for name, value in found.items() if name != "sha256"]
    if not all(map(is_count, numbers)) or not isinstance(sha256, str):
        raise ValueError(f"{found!r} are not the counts of a text")
    return TextCounts(**found)


def is_count(value: Any) -> bool:
    """Whether a value from JSON is a whole number that can count something."""
    return type(value) is int and 0 <= value < 1 << 63


def check_tokens(
    file: BufferedReader,
    path: Path,
    checksum: Any,
    dtype: np.dtype[np.unsignedinteger],
    vocab_size: int,
) -> None:
    """Read the ids that follow the header, and verify them.

    CRC-32 finds every error within 32 bits, and misses one in four billion others; zlib computes it
    at some 3 GB/s, which is 0.3 s for a file of 1 GB.

    Raises:
        ValueError: the checksum does not match, or an id is not in the vocabulary.
    """
    block = bytearray(BLOCK_BYTES)
    found = highest = 0
    while size := file.readinto(block):
        part = memoryview(block)[:size]
        found = zlib.crc32(part, found)
        ids = np.frombuffer(part[: size - size % dtype.itemsize], dtype)
        highest = max(highest, int(ids.max(initial=0)))
    if found != checksum:
        raise ValueError(f"{path} is damaged: its content does not match its checksum")
    if highest >= vocab_size:
        raise ValueError(f"{path} has an id that is not in the vocabulary")


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
