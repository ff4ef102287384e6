"""Token files: memory-mapped token ids of one text, with the counts that evaluation needs.

A file is a header of 4096 bytes, followed by the ids in the smallest unsigned integer type for the
vocabulary. The header is a line that names the format, a line with the CRC-32 of the rest of the
header, then JSON padded with spaces. The JSON contains the file name, the type and number of the
ids and their CRC-32, the vocabulary size, and the counts. Everything is verified each time a file
is opened.
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
CHECKSUM_BYTES = 9  # of the header's checksum: 8 hexadecimal digits and a line break
BLOCK_BYTES = 1 << 20  # verified at a time; fits in a processor cache
BATCH_CHARS = 1 << 22  # enough for `tokenizers` to keep all cores busy


@dataclass(frozen=True, slots=True)
class TextCounts:
    """Size of the text that tokens represent. Characters are code points; bytes are UTF-8."""

    num_words: int = 0  # runs without white space
    num_chars: int = 0
    num_bytes: int = 0
    sha256: str = ""  # hash of these bytes


class TextCounter:
    """Counter of the words, characters and bytes of pieces and their gaps."""

    def __init__(self) -> None:
        self._num_words = self._num_chars = self._num_bytes = 0
        self._digest = hashlib.sha256()
        self._in_word = False  # the last piece may have ended inside a word

    def add(self, piece: Piece) -> None:
        """Add a piece to the counts."""
        text = piece.text + piece.gap
        octets = text.encode("utf-8", "surrogateescape")
        self._num_words += len(piece.text.split())
        if self._in_word and not piece.opens and not text[:1].isspace():
            self._num_words -= bool(piece.text)  # its first word was counted in the last piece
        if text:
            self._in_word = not text[-1].isspace()
        self._num_chars += len(text)
        self._num_bytes += len(octets)
        self._digest.update(octets)

    @property
    def counts(self) -> TextCounts:
        """Counts of all pieces so far."""
        sha256 = self._digest.hexdigest()
        return TextCounts(self._num_words, self._num_chars, self._num_bytes, sha256)


@dataclass(frozen=True, slots=True)
class TokenFile:
    """Encoded text, and its counts.

    `tokens` is (num_tokens,): all frames in order, including `<start>` and `<stop>`.
    """

    tokens: NDArray[np.unsignedinteger] | JoinedTokens
    counts: TextCounts

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def array(self) -> NDArray[np.unsignedinteger]:
        """Tokens of a text without labels, or of one label: (num_tokens,)."""
        assert isinstance(self.tokens, np.ndarray)
        return self.tokens


def join_files(files: Sequence[TokenFile]) -> TokenFile:
    """Join the encoded texts of several labels, label 0 first."""
    counts = [file.counts for file in files]
    total = TextCounts(
        num_words=sum(each.num_words for each in counts),
        num_chars=sum(each.num_chars for each in counts),
        num_bytes=sum(each.num_bytes for each in counts),
        sha256=hashlib.sha256("\n".join(each.sha256 for each in counts).encode()).hexdigest(),
    )
    return TokenFile(JoinedTokens([file.array for file in files]), total)


def token_dtype(vocab_size: int) -> np.dtype[np.unsignedinteger]:
    """Return the smallest unsigned integer type for ids below `vocab_size`."""
    return np.min_scalar_type(vocab_size - 1)


def write_token_file(path: Path, pieces: Iterable[Piece], tokenizer: Tokenizer) -> TokenFile:
    """Encode a stream of pieces and write the token file atomically.

    The memory use does not depend on the length of the text.

    Raises:
        StorageError: the file cannot be written, or does not contain what was written.
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
    """Write a token file from batches of ids; `counts` is called after the last batch.

    Raises:
        StorageError: the file cannot be written, or does not contain what was written.
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
    """Return the bytes of a header, including its checksum: `HEADER_BYTES` bytes."""
    content = json.dumps(header).encode().ljust(HEADER_BYTES - len(MAGIC) - CHECKSUM_BYTES)
    packed = MAGIC + pack_checksum(content) + content
    assert len(packed) == HEADER_BYTES
    return packed


def pack_checksum(content: bytes) -> bytes:
    """Return the header line with the CRC-32 of `content`."""
    return b"%08x\n" % zlib.crc32(content)


def open_token_file(path: Path, vocab_size: int) -> TokenFile:
    """Verify every byte of a token file and map it into memory.

    Args:
        path: the file, under the name it was written with.
        vocab_size: vocabulary size of the tokenizer; all ids are less than it.

    Raises:
        OSError: the file is missing or cannot be read.
        ValueError: the file is damaged, is not a token file, or was written under another name or
            for another vocabulary size.
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
        if num_tokens == 0:  # an empty range cannot be mapped
            return TokenFile(np.zeros(0, dtype), counts)
        tokens = np.memmap(file, dtype, mode="r", offset=HEADER_BYTES, shape=(num_tokens,))
    return TokenFile(tokens, counts)


def read_header(file: BinaryIO, path: Path) -> dict[str, Any]:
    """Read the header of a token file. Its checksum and keys are verified, but not its values.

    Raises:
        ValueError: the header is damaged, or the file is not a token file.
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
    except RecursionError:  # deeply nested JSON, which charlm does not write
        raise damaged from None
    names = {"name", "dtype", "vocab_size", "num_tokens", "crc32", "counts"}
    if not isinstance(header, dict) or header.keys() != names:
        raise damaged
    return header


def read_counts(found: Any) -> TextCounts:
    """Return the counts in a header.

    Raises:
        ValueError: `found` is not a dictionary of counts.
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
    """Return whether a JSON value is an integer in [0, 2**63)."""
    return type(value) is int and 0 <= value < 1 << 63


def check_tokens(
    file: BufferedReader,
    path: Path,
    checksum: Any,
    dtype: np.dtype[np.unsignedinteger],
    vocab_size: int,
) -> None:
    """Read and verify the ids that follow the header.

    CRC-32 detects every error within 32 bits, and misses one in four billion other errors. zlib
    computes it at about 3 GB/s: 0.3 s for a file of 1 GB.

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
    """Return the ids of consecutive pieces: (num_tokens,).

    `<start>` and `<stop>` are added at the beginning and the end of each frame.
    """
    pieces = list(pieces)
    start = np.array([tokenizer.start_id], dtype=np.uint32)
    stop = np.array([tokenizer.stop_id], dtype=np.uint32)
    joined: list[TokenIds] = [start[:0]]
    encoded = tokenizer.encode_batch([piece.text for piece in pieces])
    for piece, ids in zip(pieces, encoded, strict=True):
        joined += [start] * piece.opens + [ids] + [stop] * piece.closes
    return np.concatenate(joined)


def batch_pieces(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Yield lists of pieces of about `BATCH_CHARS` characters in total."""
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
