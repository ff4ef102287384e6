"""Sources of text: regular files, standard input, pipes and remote files.

The origin of a name determines what it may open. A name in a file (config.json, recipe.toml, a
saved state) is a plain `str` and opens only a regular local file: `Source`. A name from the command
line or from a Python caller is a `UserPath` and may also refer to standard input, a named pipe or a
remote file: `UserSource`. `source_of` chooses by the type of the name.
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
MAX_WHOLE_BYTES = 1 << 30  # of an unpacked text that is held in memory as a whole
MAX_RATIO, SMALL_BYTES = 32, 1 << 24  # limit of such a text: 32 times its packed size, or 16 MB
MAX_XZ_BYTES = 72 << 20  # of memory to unpack .xz; a file from `xz -9` takes 65 MB
MAX_LINE_CHARS = 1 << 24  # of a line in a file that is read line by line
STDIN = "-"
REMOTE_PROTOCOLS = ("http", "https", "s3", "gs", "gcs", "hf")
COMPRESSIONS: dict[str, Callable[[BinaryIO], IO[bytes] | BufferedIOBase]] = {  # .zst is below
    ".gz": lambda file: gzip.GzipFile(fileobj=file),
    ".bz2": bz2.BZ2File,
    ".xz": lambda file: io.BufferedReader(XzReader(file), CHUNK_BYTES),
}
UNPACKING = (EOFError, zlib.error, lzma.LZMAError)  # raised for damaged files


class UserPath(str):
    """Name of a text given by the user, on the command line or in Python.

    Any other string is treated as coming from a file. Every operation on a `UserPath` returns a
    plain `str`, so a name that was changed or read back from a file is not trusted.
    """

    __slots__ = ()


def user_paths(names: Iterable[str]) -> tuple[UserPath, ...]:
    """Return names marked as given by the user."""
    return tuple(map(UserPath, names))


class Source:
    """Text in a regular local file. It may be read repeatedly, in chunks of about 1 MB.

    Files named `.gz`, `.xz`, `.bz2` or `.zst` are decompressed.
    """

    def __init__(self, path: str, *, any_bytes: bool = False, name: str | None = None) -> None:
        """Initialize the source; `name` is used in error messages (default: the path)."""
        self.name = "standard input" if STDIN in (path, name) else name or path
        self._path = str(path)
        self._any_bytes = any_bytes
        self.has_byte_order_mark = False
        self.max_whole_bytes = MAX_WHOLE_BYTES  # lowered when a compressed file is opened

    def chunks(self) -> Iterator[bytes]:
        """Yield the decompressed bytes of the text.

        Raises:
            TextError: the text cannot be opened or read, or its compressed data is damaged.
        """
        with self._open() as file:
            yield from chunks_of(file)

    def texts(self) -> Iterator[str]:
        """Yield the decoded text in chunks. Line endings are unchanged.

        A byte-order mark at the beginning is removed, and `has_byte_order_mark` is set. With
        `any_bytes` nothing is removed, and each byte that is not UTF-8 becomes a surrogate escape.

        Raises:
            TextError: the text cannot be read (see `chunks`), or is not UTF-8.
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
        """Open the file as stored, before decompression.

        Raises:
            OSError: the file cannot be opened.
            TextError: the name refers to standard input or a remote file.
        """
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
    """Text named by the user: a file, standard input, a named pipe or a remote file.

    `-` is standard input. Standard input and named pipes can be read only once, so their content is
    copied to a temporary file. `file:///…` is a local file. Other names with `://` are opened by
    fsspec if their protocol is in `REMOTE_PROTOCOLS`.
    """

    def __init__(self, path: str, *, any_bytes: bool = False, name: str | None = None) -> None:
        """Initialize the source; `name` is used in error messages (default: the path)."""
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
    """Return a `UserSource` if the name is a `UserPath`, otherwise a `Source`."""
    kind = UserSource if isinstance(path, UserPath) else Source
    return kind(path, any_bytes=any_bytes)


@contextmanager
def open_remote(address: str) -> Iterator[BinaryIO]:
    """Open a remote file named by the user.

    Raises:
        TextError: the protocol is not one of `REMOTE_PROTOCOLS`, or addresses are chained.
        OSError, ImportError, ValueError: fsspec or one of its file systems failed. Their other
            exceptions become an OSError.
        EOFError, zlib.error, lzma.LZMAError: the decompression in the block failed.
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
    except (TextError, OSError, ImportError, ValueError, *UNPACKING):
        raise
    except Exception as error:  # such as aiohttp's, whose only common base is Exception
        raise OSError(str(error) or type(error).__name__) from error


class TextAtHand(Source):
    """Text that is already in memory."""

    def __init__(self, text: str, name: str = "the text") -> None:
        """Initialize the source; `name` is used in error messages."""
        super().__init__(name)
        self._text = text

    def chunks(self) -> Iterator[bytes]:
        yield self._text.encode("utf-8", "surrogateescape")

    def texts(self) -> Iterator[str]:
        yield self._text


def standard_input() -> BinaryIO:
    """Return standard input as a binary stream.

    Raises:
        TextError: standard input is closed.
    """
    if sys.stdin is None:
        raise TextError("standard input is closed; name a file, or give the text with `<` or `|`.")
    return sys.stdin.buffer


def comes_once(path: str) -> bool:
    """Return whether a text can be read only once: standard input or a pipe, as in `<(command)`."""
    return path == STDIN or Path(path).is_fifo()


def whole_text(source: Source) -> str:
    """Return a text as one string in memory.

    Raises:
        TextError: the text cannot be read (see `Source.texts`), or it exceeds
            `source.max_whole_bytes`: `MAX_WHOLE_BYTES`, for a compressed file at most the larger
            of `SMALL_BYTES` and `MAX_RATIO` times its size.
    """
    return "".join(bounded(source, source.texts()))


def whole_content(source: Source) -> bytes:
    """Return the bytes of a text as one object in memory.

    Raises:
        TextError: the text cannot be read, or it exceeds the limits of `whole_text`.
    """
    return b"".join(bounded(source, source.chunks()))


def bounded(source: Source, parts: Iterable[AnyStr]) -> Iterator[AnyStr]:
    """Yield the parts of a text up to the maximum size of a text in memory.

    Raises:
        TextError: the parts exceed `source.max_whole_bytes`.
    """
    size = 0
    for part in parts:
        octets = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        size += len(octets)
        if size > source.max_whole_bytes:
            raise too_large(source)
        yield part


def chunks_of(stream: IO[bytes] | BufferedIOBase) -> Iterator[bytes]:
    """Yield the content of a stream in chunks of up to 1 MB."""
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def lines_of(source: Source) -> Iterator[str]:
    """Yield the lines of a text without their line breaks, which are `\\n` only.

    A line break at the end of the text is followed by an empty line.

    Raises:
        TextError: the text cannot be read (see `Source.texts`), or a line has more than
            `MAX_LINE_CHARS` characters.
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
    """Return the error for a text that is too large to hold in memory."""
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
    """Decompress a file according to the suffix of its name; other files are unchanged."""
    if suffix == ".zst":
        with unpack_zstd(file) as unpacked:
            yield unpacked
    elif suffix in COMPRESSIONS:
        with COMPRESSIONS[suffix](file) as opened:
            yield opened
    else:
        yield file


class XzReader(io.RawIOBase):
    """Reader of a file in .xz or .lzma format. It works as `lzma.LZMAFile` but bounds the memory.

    Raises:
        EOFError: the file is truncated.
        lzma.LZMAError: the file is damaged.
        OSError: by the file's header, decompression takes more memory than `MAX_XZ_BYTES`.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read from a compressed file, which stays open when the reader is closed."""
        self._file = file
        self._stream = lzma.LZMADecompressor(memlimit=MAX_XZ_BYTES)
        self._is_read = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._is_read:
            packed = b""
            if is_next := self._stream.eof:  # another stream may follow, after padding
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
                if "limit" in str(error):  # lzma has no narrower exception type
                    raise OSError(
                        f"it takes more than {MAX_XZ_BYTES:,} bytes of memory to unpack; "
                        "pack it with `xz -9`"
                    ) from error
                if not is_next:
                    raise
                break  # the data after the last stream is ignored
            if unpacked:
                buffer[: len(unpacked)] = unpacked
                return len(unpacked)
        self._is_read = True
        return 0


@contextmanager
def unpack_zstd(file: BinaryIO) -> Iterator[IO[bytes] | BufferedIOBase]:
    """Open a decompressing reader for a file in Zstandard format.

    Raises:
        TextError: the library is not installed.
        EOFError: the file is damaged or truncated.
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
    """Convert errors of the file system and of decompression to a TextError with the text's name.

    Raises:
        TextError: the block raised such an error.
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
