"""Texts by name: files, standard input, compressed and remote ones."""

import codecs
import lzma
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import BufferedIOBase
from pathlib import Path, PurePath
from typing import IO, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from charlm.errors import TextError

CHUNK_BYTES = 1 << 20
STDIN = "-"
COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz"}  # fsspec's names; .zst is below


class Source:
    """One text, read as often as needed in chunks of about a megabyte.

    `-` is standard input; it and pipes are kept in a temporary file, since they come only once.
    `.gz .xz .bz2 .zst` are unpacked; names with `://` are opened by fsspec.
    """

    def __init__(self, path: str, *, any_bytes: bool = False, name: str | None = None) -> None:
        """Say where the text is, and what to call it if not by its path."""
        self.name = "standard input" if STDIN in (path, name) else name or path
        self._path = path
        self._any_bytes = any_bytes
        self._spool: IO[bytes] | None = None
        self.has_byte_order_mark = False

    def chunks(self) -> Iterator[bytes]:
        """The bytes of the text, unpacked.

        Raises:
            TextError: it cannot be opened, or breaks off while it is being unpacked.
        """
        with self._open() as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

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
        with read_errors(self.name):
            system, path = LocalFileSystem(), self._path
            if comes_once(self._path):
                path = self._spooled()
            elif "://" in self._path:
                system, path = fsspec.url_to_fs(self._path)
            suffix = PurePath(self._path).suffix
            with system.open(path, "rb", compression=COMPRESSIONS.get(suffix)) as file:
                if suffix != ".zst":
                    yield file
                    return
                with unpack_zstd(file) as unpacked:
                    yield unpacked

    def _spooled(self) -> str:
        if self._spool is None:
            self._spool = tempfile.NamedTemporaryFile(prefix="charlm-")  # noqa: SIM115
            with (
                nullcontext(sys.stdin.buffer)
                if self._path == STDIN
                else open(self._path, "rb") as stream
            ):
                shutil.copyfileobj(stream, self._spool)
            self._spool.flush()
        return self._spool.name


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


def comes_once(path: str) -> bool:
    """Whether a text cannot be read again: standard input, or a pipe as `<(command)` makes one."""
    return path == STDIN or Path(path).is_fifo()


@contextmanager
def unpack_zstd(file: BinaryIO) -> Iterator[IO[bytes] | BufferedIOBase]:
    """Unpack zstandard, which fsspec's own reader does without telling when it is cut off.

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
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise TextError(f"{name} is damaged and cannot be unpacked: {error}.") from error
    except (OSError, ImportError, ValueError) as error:
        raise TextError(f"{name} cannot be read: {error}.") from error
