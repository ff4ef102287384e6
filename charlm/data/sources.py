"""Texts by name: files, standard input, compressed and remote ones."""

import codecs
import lzma
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from charlm.errors import TextError

CHUNK_BYTES = 1 << 20
STDIN = "-"


class Source:
    """One text, read as often as needed in chunks of about a megabyte.

    `-` is standard input, kept in a temporary file since it comes only once. `.gz .xz .bz2 .zst`
    are unpacked; names with `://` are opened by fsspec.
    """

    def __init__(self, name: str, *, any_bytes: bool = False) -> None:
        self.name = "standard input" if name == STDIN else name
        self._path = name
        self._any_bytes = any_bytes
        self._spool: IO[bytes] | None = None
        self.has_byte_order_mark = False

    def chunks(self) -> Iterator[bytes]:
        """The bytes of the text, unpacked.

        Raises:
            TextError: it cannot be opened, or breaks off while it is being unpacked.
        """
        with self._open() as file:
            if self._path.endswith(".zst"):
                yield from unpack_zstd(file)
                return
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
    def _open(self) -> Iterator[BinaryIO]:
        with read_errors(self.name):
            if self._path == STDIN:
                with open(self._spooled(), "rb") as file:
                    yield file
                return
            system, path = LocalFileSystem(), self._path
            if "://" in self._path:
                system, path = fsspec.url_to_fs(self._path)
            compression = None if path.endswith(".zst") else "infer"
            with system.open(path, "rb", compression=compression) as file:
                yield file

    def _spooled(self) -> str:
        if self._spool is None:
            self._spool = tempfile.NamedTemporaryFile(prefix="charlm-stdin-")  # noqa: SIM115
            shutil.copyfileobj(sys.stdin.buffer, self._spool)
            self._spool.flush()
        return self._spool.name


def unpack_zstd(file: BinaryIO) -> Iterator[bytes]:
    """Unpack zstandard frames; unlike the library's own reader, tell when one is cut off.

    Raises:
        TextError: `zstandard` is not installed.
        EOFError: the file is damaged or cut off.
    """
    try:
        import zstandard
    except ImportError:
        raise TextError("to read .zst files, run `pip install charlm[zstd]`.") from None
    unpacker, rest = zstandard.ZstdDecompressor().decompressobj(), b""
    begun = False
    try:
        while chunk := rest or file.read(CHUNK_BYTES):
            yield unpacker.decompress(chunk)
            rest, begun = unpacker.unused_data, not unpacker.eof
            if unpacker.eof:
                unpacker = zstandard.ZstdDecompressor().decompressobj()
    except zstandard.ZstdError as error:
        raise EOFError(str(error)) from error
    if begun:
        raise EOFError("it is cut off")


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
