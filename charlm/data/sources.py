"""Texts by name: regular files; what the user names may also be a stream or remote.

Who names a text decides what is opened. A name in a file (config.json, recipe.toml, a saved state)
is a plain `str` and opens only a regular local file: `Source`. A name from the command line or from
a Python caller is a `UserPath` and may also be standard input, a named pipe or a remote file:
`UserSource`. `source_of` chooses by the type of the name.
"""

import bz2
import codecs
import gzip
import io
import lzma
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from io import BufferedIOBase
from pathlib import Path, PurePath
from typing import IO, Any, AnyStr, BinaryIO

import fsspec

from charlm.errors import TextError
from charlm.temporary import temporary_file
from charlm.untrusted import RefusedFileError, open_regular

CHUNK_BYTES = 1 << 20
MAX_WHOLE_BYTES = 1 << 30  # of a text that is held in memory as a whole, unpacked
MAX_RATIO, SMALL_BYTES = 32, 1 << 24  # of such a text: so often its packed size, or 16 MB
MAX_XZ_BYTES = 72 << 20  # of memory to unpack .xz; what `xz -9` packs takes 65 MB
MAX_LINE_CHARS = 1 << 24  # of a line in a file that is read line by line
STDIN = "-"
REMOTE_PROTOCOLS = ("http", "https", "s3", "gs", "gcs", "hf")
COMPRESSIONS: dict[str, Callable[[BinaryIO], IO[bytes] | BufferedIOBase]] = {  # .zst is below
    ".gz": lambda file: gzip.GzipFile(fileobj=file),
    ".bz2": bz2.BZ2File,
    ".xz": lambda file: io.BufferedReader(XzReader(file), CHUNK_BYTES),
}
UNPACKING = (EOFError, zlib.error, lzma.LZMAError)  # errors of damaged files


class UserPath(str):
    """A name of a text that comes from the user: from the command line or a Python caller.

    Any other string comes from a file. Every operation on a `UserPath` returns a plain `str`, so a
    name that was changed or read back from a file is trusted no longer.
    """

    __slots__ = ()


def user_paths(names: Iterable[str]) -> tuple[UserPath, ...]:
    """Mark names that the user gave."""
    return tuple(map(UserPath, names))


class Source:
    """One text in a regular local file, read as often as needed in chunks of about a megabyte.

    `.gz .xz .bz2 .zst` are unpacked.
    """

    def __init__(self, path: str, *, any_bytes: bool = False, name: str | None = None) -> None:
        """Say where the text is, and what to call it if not by its path."""
        self.name = "standard input" if STDIN in (path, name) else name or path
        self._path = str(path)
        self._any_bytes = any_bytes
        self.has_byte_order_mark = False
        self.max_whole_bytes = MAX_WHOLE_BYTES  # fewer once a packed file is open

    def chunks(self) -> Iterator[bytes]:
        """The bytes of the text, unpacked.

        Raises:
            TextError: it cannot be opened, or breaks off while it is being unpacked.
        """
        with self._open() as file:
            yield from chunks_of(file)

    def texts(self) -> Iterator[str]:
        """The text, line ends and all characters as they stand.

        A byte-order mark at the beginning is not text: it is left out and noted in
        `has_byte_order_mark`. With `any_bytes` nothing is left out and bytes that are not UTF-8
        become surrogate escapes, one each.

        Raises:
            TextError: as `chunks`, or a byte is not UTF-8.
        """
        errors = "surrogateescape" if self._any_bytes else "strict"
        decoder = codecs.getincrementaldecoder("utf-8")(errors)
        offset = 0
        for chunk in self.chunks():
            pending = len(decoder.getstate()[0])
            text = self._decode(decoder, chunk, offset - pending)
            if offset == 0 and not self._any_bytes and text.startswith("\ufeff"):
                self.has_byte_order_mark = True
                text = text[1:]
            offset += len(chunk)
            yield text
        if rest := self._decode(decoder, b"", offset - len(decoder.getstate()[0]), final=True):
            yield rest

    def _decode(
        self, decoder: codecs.IncrementalDecoder, chunk: bytes, offset: int, final: bool = False
    ) -> str:
        try:
            return decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            place, byte = offset + error.start, error.object[error.start]
            encoding = "utf-16" if place == 0 and byte in (0xFE, 0xFF) else "latin1"
            raise TextError(
                f"{self.name} is not UTF-8 at byte {place:,} (0x{byte:02x}); convert it, for "
                f"example with `iconv -f {encoding} -t utf-8`, or learn its bytes with "
                "--level byte."
            ) from None

    @contextmanager
    def _open(self) -> Iterator[IO[bytes] | BufferedIOBase]:
        with (
            read_errors(self.name),
            self._open_packed() as packed,
            unpack(packed, PurePath(self._path).suffix) as file,
        ):
            yield file

    @contextmanager
    def _open_packed(self) -> Iterator[BinaryIO]:
        """Open the file as it is stored; errors are those of the system, or a TextError."""
        if self._path == STDIN or "://" in self._path:
            raise TextError(
                f"{self.name} is named in a file, which may name local files only; name the text "
                "on the command line."
            )
        with open_regular(self._path) as file:
            self._bound(file)
            yield file

    def _bound(self, file: BinaryIO) -> None:
        if PurePath(self._path).suffix in (*COMPRESSIONS, ".zst"):
            size = os.fstat(file.fileno()).st_size
            self.max_whole_bytes = min(MAX_WHOLE_BYTES, max(SMALL_BYTES, MAX_RATIO * size))


class UserSource(Source):
    """One text that the user names: a file, a stream or a remote file.

    `-` is standard input; it and named pipes are kept in a temporary file, since they come only
    once. `file:///…` is a local file. Other names with `://` are opened by fsspec if their protocol
    is in `REMOTE_PROTOCOLS`.
    """

    def __init__(self, path: str, *, any_bytes: bool = False, name: str | None = None) -> None:
        """Say where the text is, and what to call it if not by its path."""
        local = path.removeprefix("file://") if path.startswith("file:///") else path
        super().__init__(local, any_bytes=any_bytes, name=name or path)
        self._spool: IO[bytes] | None = None

    @contextmanager
    def _open_packed(self) -> Iterator[BinaryIO]:
        if comes_once(self._path):
            with open_regular(self._spooled()) as file:
                self._bound(file)
                yield file
        elif "://" in self._path:
            with open_remote(self._path) as file:
                yield file
        else:
            with super()._open_packed() as file:
                yield file

    def _spooled(self) -> str:
        if self._spool is None:
            with (
                nullcontext(standard_input())
                if self._path == STDIN
                else open(self._path, "rb") as stream
            ):
                self._spool = temporary_file(chunks_of(stream))
        return self._spool.name


def source_of(path: str, *, any_bytes: bool = False) -> Source:
    """Return the source of a text, trusted as far as the type of its name says."""
    kind = UserSource if isinstance(path, UserPath) else Source
    return kind(path, any_bytes=any_bytes)


@contextmanager
def open_remote(address: str) -> Iterator[BinaryIO]:
    """Open a remote file that the user names.

    Raises:
        TextError: the protocol is not one of `REMOTE_PROTOCOLS`, or addresses are chained.
        OSError, ImportError, ValueError: from fsspec or one of its file systems, whose own errors
            become an OSError; or from unpacking.
    """
    protocol = address.partition("://")[0].lower()
    if "::" in address:
        raise TextError(f"{address} chains addresses with `::`, which is not allowed; name one.")
    if protocol not in REMOTE_PROTOCOLS:
        known = ", ".join(f"{name}://" for name in REMOTE_PROTOCOLS)
        raise TextError(
            f"{address} cannot be read: {protocol}:// is not one of {known}; download the text and "
            "name the file."
        )
    try:
        system, path = fsspec.url_to_fs(address)
        with system.open(path, "rb") as file:
            yield file
    except (OSError, ImportError, ValueError, *UNPACKING):
        raise
    except Exception as error:  # such as aiohttp's, which have no base but Exception
        raise OSError(str(error) or type(error).__name__) from error


class TextAtHand(Source):
    """A text that needs no reading."""

    def __init__(self, text: str, name: str = "the text") -> None:
        """Take the text, and what to call it."""
        super().__init__(name)
        self._text = text

    def chunks(self) -> Iterator[bytes]:
        yield self._text.encode("utf-8", "surrogateescape")

    def texts(self) -> Iterator[str]:
        yield self._text


def standard_input() -> BinaryIO:
    """Return standard input as bytes.

    Raises:
        TextError: it is closed.
    """
    if sys.stdin is None:
        raise TextError("standard input is closed; name a file, or give the text with `<` or `|`.")
    return sys.stdin.buffer


def comes_once(path: str) -> bool:
    """Whether a text cannot be read again: standard input, or a pipe as `<(command)` makes one."""
    return path == STDIN or Path(path).is_fifo()


def whole_text(source: Source) -> str:
    """Return a text that is held in memory as a whole.

    Raises:
        TextError: as of `Source.texts`, or it has more than `MAX_WHOLE_BYTES`, or is packed
            and unpacks to more than `MAX_RATIO` times its size.
    """
    return "".join(bounded(source, source.texts()))


def whole_content(source: Source) -> bytes:
    """Return the bytes of a text that is held in memory as a whole; errors as of `whole_text`."""
    return b"".join(bounded(source, source.chunks()))


def bounded(source: Source, parts: Iterable[AnyStr]) -> Iterator[AnyStr]:
    """Yield the parts of a text for as long as memory should hold them; errors as of the above."""
    size = 0
    for part in parts:
        octets = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        size += len(octets)
        if size > source.max_whole_bytes:
            raise too_large(source)
        yield part


def chunks_of(stream: IO[bytes] | BufferedIOBase) -> Iterator[bytes]:
    """Yield the content of a stream in pieces of some size."""
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def lines_of(source: Source) -> Iterator[str]:
    """Yield the lines of a text without their line breaks, which are `\\n` alone.

    After a last line break comes an empty line.

    Raises:
        TextError: as of `Source.texts`, or a line has more than `MAX_LINE_CHARS` characters.
    """
    rest = ""
    for text in source.texts():
        *lines, rest = (rest + text).split("\n")
        yield from lines
        if len(rest) > MAX_LINE_CHARS:
            raise TextError(
                f"{source.name} has a line of more than {MAX_LINE_CHARS:,} characters; it is not "
                "a file of this kind."
            )
    yield rest


def too_large(source: Source) -> TextError:
    """The error for a text that memory should not hold as a whole."""
    if source.max_whole_bytes < MAX_WHOLE_BYTES:
        return TextError(
            f"{source.name} unpacks to more than {source.max_whole_bytes:,} bytes, which is much "
            "for its size; unpack it and name the unpacked file."
        )
    return TextError(
        f"{source.name} is larger than {MAX_WHOLE_BYTES:,} bytes, the maximum for a text that is "
        "held in memory; split it."
    )


@contextmanager
def unpack(file: BinaryIO, suffix: str) -> Iterator[IO[bytes] | BufferedIOBase]:
    """Unpack a file by the end of its name; others stay as they are."""
    if suffix == ".zst":
        with unpack_zstd(file) as unpacked:
            yield unpacked
    elif suffix in COMPRESSIONS:
        with COMPRESSIONS[suffix](file) as opened:
            yield opened
    else:
        yield file


class XzReader(io.RawIOBase):
    """A file in .xz or .lzma, unpacked as `lzma.LZMAFile` does, but in bounded memory.

    Raises:
        EOFError: it is cut off.
        lzma.LZMAError: it is damaged.
        OSError: unpacking would take more than `MAX_XZ_BYTES`, as its header says.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Take the packed file; it stays open when this is closed."""
        self._file = file
        self._stream = lzma.LZMADecompressor(memlimit=MAX_XZ_BYTES)
        self._is_read = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._is_read:
            packed = b""
            if is_next := self._stream.eof:  # streams may follow each other, after padding
                packed = self._stream.unused_data.lstrip(b"\0")
                while not packed:
                    if not (more := self._file.read(CHUNK_BYTES)):
                        return 0
                    packed = more.lstrip(b"\0")
                self._stream = lzma.LZMADecompressor(memlimit=MAX_XZ_BYTES)
            elif self._stream.needs_input and not (packed := self._file.read(CHUNK_BYTES)):
                raise EOFError("it ends before its end mark")
            try:
                unpacked = self._stream.decompress(packed, len(buffer))
            except lzma.LZMAError as error:
                if "limit" in str(error):  # there is no narrower error
                    raise OSError(
                        f"it takes more than {MAX_XZ_BYTES:,} bytes of memory to unpack; "
                        "pack it with `xz -9`"
                    ) from error
                if not is_next:
                    raise
                break  # what follows is no stream
            if unpacked:
                buffer[: len(unpacked)] = unpacked
                return len(unpacked)
        self._is_read = True
        return 0


@contextmanager
def unpack_zstd(file: BinaryIO) -> Iterator[IO[bytes] | BufferedIOBase]:
    """Unpack zstandard, and report where it is cut off.

    Raises:
        TextError: the library is not installed.
        EOFError: the file is damaged or cut off.
    """
    try:
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
    except ImportError:
        raise TextError("to read .zst files, run `pip install charlm[zstd]`.") from None
    try:
        with zstd.ZstdFile(file) as unpacked:
            yield unpacked
    except zstd.ZstdError as error:
        raise EOFError(str(error)) from error


@contextmanager
def read_errors(name: str) -> Iterator[None]:
    """Say which text could not be read and why.

    Raises:
        TextError: the block met an error of the file system or of unpacking.
    """
    try:
        yield
    except FileNotFoundError:
        raise TextError(f"{name} does not exist; name a text file.") from None
    except IsADirectoryError:
        raise TextError(f"{name} is a folder; name the text files in it.") from None
    except PermissionError:
        raise TextError(f"{name} may not be read; check its permissions.") from None
    except RefusedFileError as error:
        raise TextError(f"{name} cannot be read: {error}; name a text file.") from None
    except UNPACKING as error:
        raise TextError(f"{name} is damaged and cannot be unpacked: {error}.") from error
    except (OSError, ImportError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise TextError(f"{name} cannot be read: {why}.") from error
