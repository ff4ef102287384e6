"""Validation and test texts stored in a checkpoint, so that its scores can be reproduced.

heldout/valid.txt.gz       the text as it was read, byte for byte
heldout/valid.frames.gz    four uint32 (little-endian) per piece: bytes of text, bytes of the gap
                           after it, label, 1 if it opens a frame + 2 if it closes one

The same files exist for test. config.json records the size and the SHA-256 of the uncompressed
content. Pieces are recorded as they were cut, so that the tokens equal those of the original corpus
on any system and with any version. The backward half of a bidirectional model uses the texts of the
checkpoint that contains it.
"""

import codecs
import gzip
import hashlib
import shutil
import weakref
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from charlm.checkpoint.config_file import CheckpointConfig, Heldout, HeldoutPart
from charlm.data import MAX_WORD, Corpus, Framing, LabelledPart, Part, Piece, TextPart
from charlm.errors import CheckpointError
from charlm.location import BACKWARD, HELDOUT
from charlm.storage import make_folder, replacement, storage_errors
from charlm.temporary import temporary_file
from charlm.untrusted import open_regular

COLUMNS = 4
ROW = np.dtype(("<u4", COLUMNS))
OPENS, CLOSES = 1, 2
CHUNK_BYTES = 1 << 20
BLOCK_ROWS = 1 << 12
# A reader unpacks at most MAX_RATIO times a file's size, or SMALL_BYTES if that is more. Prose
# shrinks to a third or a quarter; content that would exceed the limit is stored uncompressed.
MAX_RATIO = 32
SMALL_BYTES = 1 << 20


def save_heldout(folder: Path, parts: Mapping[Part, TextPart | LabelledPart]) -> Heldout:
    """Write the validation and test texts of a corpus; return their record for config.json.

    Raises:
        TextError: a text cannot be read.
        StorageError: a file cannot be written.
    """
    return Heldout(
        valid=save_part(folder, "valid", parts["valid"]),
        test=save_part(folder, "test", parts["test"]),
    )


def save_part(folder: Path, part: Part, text: TextPart | LabelledPart) -> HeldoutPart:
    """Write one split and return its record. No file is written for an empty split."""
    pieces = labelled_pieces(text)
    if (first := next(pieces, None)) is None:
        return HeldoutPart()
    make_folder(folder / HELDOUT)
    text_path, frames_path = part_paths(folder, part)
    text_digest, frames_digest = hashlib.sha256(), hashlib.sha256()
    num_bytes = num_pieces = 0
    with (
        replacement(text_path) as text_file,
        replacement(frames_path) as frames_file,
        compressed(text_file) as text_packed,
        compressed(frames_file) as frames_packed,
    ):
        for label, piece in chain([first], pieces):
            octets, gap = (to_bytes(each) for each in (piece.text, piece.gap))
            flags = OPENS * piece.opens + CLOSES * piece.closes
            row = np.array([len(octets), len(gap), label, flags], "<u4").tobytes()
            text_packed.write(octets + gap)
            text_digest.update(octets + gap)
            frames_packed.write(row)
            frames_digest.update(row)
            num_bytes += len(octets) + len(gap)
            num_pieces += 1
    for path, size in ((text_path, num_bytes), (frames_path, num_pieces * ROW.itemsize)):
        if size > most_bytes(path):
            store(path)
    return HeldoutPart(
        num_bytes=num_bytes,
        num_pieces=num_pieces,
        sha256=text_digest.hexdigest(),
        frames_sha256=frames_digest.hexdigest(),
    )


def kept_corpus(folder: Path, config: CheckpointConfig, part: Part) -> Corpus | None:
    """Return the held-out split of a checkpoint as a corpus, or None if it is not stored.

    The files are read and verified as a whole when the pieces are first requested. `folder` may be
    the backward half of a bidirectional checkpoint.
    """
    if config.heldout is None or part == "train":
        return None
    recorded, folder = config.heldout.of(part), heldout_owner(folder)
    if recorded.num_pieces and not all(path.exists() for path in part_paths(folder, part)):
        return None
    assert config.corpus.frame is not None
    framing = Framing(frame=config.corpus.frame, pretokenized=config.text.pretokenized)
    errors = "surrogateescape" if config.text.level == "byte" else "strict"
    kept = KeptPart(folder, part, recorded, max(1, len(config.labels)), errors)
    text: TextPart | LabelledPart = KeptText(kept, framing, 0)
    if config.labels:
        texts = {label: KeptText(kept, framing, i) for i, label in enumerate(config.labels)}
        text = LabelledPart(texts)
    # Encoded tokens are cached under a separate name, so that a checkpoint that claims to contain
    # another corpus cannot replace the cached tokens of that corpus.
    content = repr((recorded.sha256, recorded.frames_sha256, config.labels))
    return Corpus(
        config=config.corpus,
        parts={part: text},
        framing=framing,
        sha256=hashlib.sha256(f"heldout {content}".encode()).hexdigest(),
        num_chars=0,
        notes=(),
    )


def heldout_bytes(folder: Path) -> int:
    """Return the size of the stored texts on disk, in bytes."""
    paths = (heldout_owner(folder) / HELDOUT).glob("*.gz")
    return sum(path.stat().st_size for path in paths if path.is_file())


def describe_heldout(folder: Path, config: CheckpointConfig) -> str:
    """Return a description of the stored texts and their size, for messages."""
    size = heldout_bytes(folder)
    if config.heldout is None or not size:
        return "not kept: eval needs the original corpus"
    sizes = [f"{config.heldout.of(part).num_bytes:,}" for part in ("valid", "test")]
    return (
        f"in {HELDOUT}/, readable by anyone: {sizes[0]} bytes for validation and {sizes[1]} for "
        f"test ({size:,} compressed)"
    )


class KeptText(TextPart):
    """The pieces of one label in a stored split; label 0 if there are no labels."""

    def __init__(self, kept: "KeptPart", framing: Framing, label: int) -> None:
        super().__init__([], framing)
        self._kept, self._label = kept, label

    def pieces(self) -> Iterator[Piece]:
        return self._kept.pieces(self._label)


class KeptPart:
    """One stored split. Its files are untrusted and are verified before use."""

    def __init__(
        self, folder: Path, part: Part, recorded: HeldoutPart, num_labels: int, errors: str
    ) -> None:
        self._text_path, self._frames_path = part_paths(folder, part)
        self._recorded, self._num_labels, self._errors = recorded, num_labels, errors

    def pieces(self, label: int) -> Iterator[Piece]:
        """Yield the pieces of one label, in order.

        Raises:
            CheckpointError: a file is damaged, is not the recorded one, or does not fit the other
                file.
            StorageError: there is no room for the unpacked files.
        """
        if not self._recorded.num_pieces:
            return
        text, (frames, totals) = self._text, self._frames
        first, offset = totals[:label].sum(axis=0).tolist()
        for rows in row_blocks(frames, first, first + int(totals[label, 0])):
            for num_text, num_gap, _, flags in rows.tolist():
                text.seek(offset)  # another label may have been read in between
                content, is_long = self._decode(text.read(num_text)), num_gap > CHUNK_BYTES
                gap = "" if is_long else self._decode(text.read(num_gap))
                yield Piece(content, gap, bool(flags & OPENS), bool(flags & CLOSES))
                offset += num_text
                for part in self._texts(offset, num_gap) if is_long else ():
                    yield Piece("", part, False, False)  # limits memory
                offset += num_gap

    @cached_property
    def _text(self) -> IO[bytes]:
        text = unpack(self._text_path, self._recorded.num_bytes, self._recorded.sha256)
        weakref.finalize(self, text.close)
        return text

    @cached_property
    def _frames(self) -> tuple[IO[bytes], NDArray[np.int64]]:
        """The unpacked and checked rows, and their totals by label, (num_labels, 2).

        Raises:
            CheckpointError: the file is damaged or does not fit the text.
            StorageError: there is no room for the unpacked file.
        """
        num_pieces = self._recorded.num_pieces
        size = num_pieces * ROW.itemsize
        frames = unpack(self._frames_path, size, self._recorded.frames_sha256)
        weakref.finalize(self, frames.close)
        totals = totals_by_label(row_blocks(frames, 0, num_pieces), self._num_labels)
        if totals is None or totals[:, 1].sum() != self._recorded.num_bytes:
            raise CheckpointError(
                f"{self._frames_path} does not fit {self._text_path.name} beside it; restore both."
            )
        return frames, totals

    def _texts(self, offset: int, size: int) -> Iterator[str]:
        """Yield `size` bytes of text from `offset` on as strings of about `CHUNK_BYTES` bytes."""
        rest, end = b"", offset + size
        for begin in range(offset, end, CHUNK_BYTES):
            self._text.seek(begin)  # something else may have been read in between
            octets = rest + self._text.read(min(CHUNK_BYTES, end - begin))
            rest = b"" if begin + CHUNK_BYTES >= end else begun_character(octets)
            yield self._decode(octets[: len(octets) - len(rest)])

    def _decode(self, octets: bytes) -> str:
        try:
            return octets.decode("utf-8", self._errors)
        except UnicodeDecodeError as error:
            raise CheckpointError(f"{self._text_path} is not UTF-8; restore it.") from error


def begun_character(octets: bytes) -> bytes:
    """Return the bytes at the end that are an incomplete UTF-8 character, if any."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(octets[-3:])  # a UTF-8 character has at most four bytes
    return decoder.getstate()[0]


def row_blocks(frames: IO[bytes], first: int, end: int) -> Iterator[NDArray[np.uint32]]:
    """Yield the rows from `first` to before `end` in blocks, (num_rows, 4)."""
    for begin in range(first, end, BLOCK_ROWS):
        frames.seek(begin * ROW.itemsize)
        octets = frames.read(min(BLOCK_ROWS, end - begin) * ROW.itemsize)
        yield np.frombuffer(octets, "<u4").reshape(-1, COLUMNS)


def totals_by_label(
    blocks: Iterable[NDArray[np.uint32]], num_labels: int
) -> NDArray[np.int64] | None:
    """Return the number of pieces and of bytes of each label, (num_labels, 2).

    Returns None if the pieces are not grouped by ascending label, or if a frame is not opened and
    closed exactly once.
    """
    totals = np.zeros((num_labels, 2), np.int64)
    depth = last_label = 0
    for rows in blocks:
        if not is_in_order(rows, depth, last_label, num_labels):
            return None
        labels, flags = rows[:, 2], rows[:, 3]
        depth += int(np.sum(flags & OPENS) - np.sum(flags & CLOSES) // CLOSES)
        last_label = int(labels[-1])
        first = int(labels[0])  # a block has few labels, even if there are many in total
        num_pieces = np.bincount(labels - first)
        num_bytes = np.bincount(labels - first, rows[:, :2].sum(axis=1, dtype=np.int64))
        totals[first : last_label + 1] += np.stack([num_pieces, num_bytes], 1).astype(np.int64)
    return totals if depth == 0 else None


def is_in_order(
    rows: NDArray[np.uint32], depth: int, last_label: int, num_labels: int
) -> np.bool_ | bool:
    """Return whether the rows are valid after earlier ones.

    Args:
        rows: table of pieces, (num_rows, 4).
        depth: number of frames left open by the earlier rows, 0 or 1.
        last_label: label of the last earlier row, or 0.
        num_labels: number of labels.
    """
    labels, flags = rows[:, 2], rows[:, 3]
    opens, closes = (flags & OPENS).astype(np.int8), (flags & CLOSES != 0).astype(np.int8)
    after = depth + np.cumsum(opens - closes, dtype=np.int32)
    before, inside = after - opens + closes, after + closes
    new_label = np.diff(labels.astype(np.int64), prepend=last_label)
    return (
        rows[:, 0].max() <= 4 * MAX_WORD  # at most four bytes per code point
        and (new_label >= 0).all()
        and labels[-1] < num_labels
        and flags.max() <= OPENS + CLOSES
        and inside.min() >= 0
        and inside.max() <= 1
        and (closes <= inside).all()
        and (inside[rows[:, 0] > 0] == 1).all()
        and (before[new_label > 0] == 0).all()
    )


def unpack(path: Path, num_bytes: int, sha256: str) -> IO[bytes]:
    """Unpack a gzip file into a temporary file and verify its size and SHA-256.

    Raises:
        CheckpointError: the file is missing or damaged, or its content does not have `num_bytes`
            bytes and the given SHA-256.
        StorageError: there is no room for the content.
    """
    if not path.is_file():  # also accepts a link to a regular file
        raise CheckpointError(f"{path} is not a regular file; restore it.")
    restore = f"restore it, or delete {path.parent} to use the original corpus."
    if num_bytes > most_bytes(path):
        raise CheckpointError(f"{path} is too small for {num_bytes:,} bytes of content; {restore}")
    digest, left = hashlib.sha256(), num_bytes
    with ExitStack() as stack:
        unpacked = stack.enter_context(temporary_file())
        try:
            with open_regular(path) as file, gzip.open(file, "rb") as packed:
                while left >= 0 and (chunk := packed.read(min(CHUNK_BYTES, left + 1))):
                    left -= len(chunk)
                    digest.update(chunk)
                    with storage_errors(Path(unpacked.name)):
                        unpacked.write(chunk)
        except (OSError, EOFError, zlib.error) as error:
            raise CheckpointError(f"{path} is damaged and cannot be unpacked; {restore}") from error
        if left or digest.hexdigest() != sha256:
            raise CheckpointError(
                f"{path} is damaged: its content does not match its seal; {restore}"
            )
        with storage_errors(Path(unpacked.name)):
            unpacked.flush()
        stack.pop_all()
    return unpacked


def most_bytes(path: Path) -> int:
    """Return the maximum number of bytes that a file may unpack to."""
    return max(SMALL_BYTES, MAX_RATIO * path.stat().st_size)


def compressed(file: IO[bytes], level: int = 9) -> gzip.GzipFile:
    """Return a gzip writer for a file.

    Equal content gives equal bytes, because neither name nor time is stored.
    """
    return gzip.GzipFile(filename="", mode="wb", compresslevel=level, fileobj=file, mtime=0)


def store(path: Path) -> None:
    """Rewrite a gzip file with compression level 0, so that its content is stored uncompressed."""
    with gzip.open(path, "rb") as packed, replacement(path) as file, compressed(file, 0) as stored:
        shutil.copyfileobj(packed, stored, CHUNK_BYTES)


def labelled_pieces(text: TextPart | LabelledPart) -> Iterator[tuple[int, Piece]]:
    """Return an iterator over the pieces of a split, each after the index of its label."""
    parts: Iterable[TextPart] = [text] if isinstance(text, TextPart) else text.by_label.values()
    return ((label, piece) for label, own in enumerate(parts) for piece in own.pieces())


def part_paths(folder: Path, part: Part) -> tuple[Path, Path]:
    """Return the paths of a split's text and of its frames."""
    return folder / HELDOUT / f"{part}.txt.gz", folder / HELDOUT / f"{part}.frames.gz"


def heldout_owner(folder: Path) -> Path:
    """Return the checkpoint that stores the texts of `folder`.

    This is `folder` itself, or its parent if it is the backward half of a bidirectional model.
    """
    is_half = folder.name == BACKWARD.name and not (folder / HELDOUT).exists()
    return folder.parent if is_half else folder


def to_bytes(text: str) -> bytes:
    """Encode text as UTF-8; a byte-level text gives the bytes that it was read from."""
    return text.encode("utf-8", "surrogateescape")
