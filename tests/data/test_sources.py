"""Texts by name: every byte arrives, and what cannot be read is told."""

import bz2
import gzip
import io
import json
import lzma
import os
import random
import re
import sys
import threading

import fsspec
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.data.sources import (
    CHUNK_BYTES,
    REMOTE_PROTOCOLS,
    SMALL_BYTES,
    STDIN,
    Source,
    UserSource,
    lines_of,
    source_of,
    user_paths,
    whole_content,
    whole_text,
)
from charlm.errors import TextError

COMPRESS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstd.compress,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("texts")


def file_source(folder, content, name="tale.txt", **settings):
    path = folder / name
    path.write_bytes(content)
    return Source(str(path), **settings)


def read(source):
    return "".join(source.texts())


@given(text=st.text(), chunk_bytes=st.integers(4, 9))
@settings(max_examples=100)
def test_a_text_is_the_same_whatever_the_chunks_cut_in_two(folder, text, chunk_bytes):
    source = file_source(folder, text.encode())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charlm.data.sources.CHUNK_BYTES", chunk_bytes)
        texts = list(source.texts())

    assert "".join(texts) == text.removeprefix("\ufeff")


@given(content=st.binary(), chunk_bytes=st.integers(1, 9))
@settings(max_examples=100)
def test_any_bytes_become_text_and_back(folder, content, chunk_bytes):
    source = file_source(folder, content, any_bytes=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charlm.data.sources.CHUNK_BYTES", chunk_bytes)
        text = read(source)

    assert text == content.decode("utf-8", "surrogateescape")
    assert text.encode("utf-8", "surrogateescape") == content


def test_chunks_are_about_a_megabyte(tmp_path):
    content = bytes(range(256)) * 10_000

    chunks = list(file_source(tmp_path, content).chunks())

    assert b"".join(chunks) == content
    assert all(0 < len(chunk) <= CHUNK_BYTES for chunk in chunks)


def test_line_ends_nul_and_other_controls_stay_as_they_are(tmp_path):
    text = "a\r\nb\rc\n\0\x0c\x1a\u2028d"

    assert read(file_source(tmp_path, text.encode())) == text


@given(before=st.text(max_size=20), after=st.text(), chunk_bytes=st.integers(4, 9))
@settings(max_examples=100)
def test_the_first_byte_that_is_not_utf8_is_told_by_its_place(folder, before, after, chunk_bytes):
    source = file_source(folder, before.encode() + b"\xff" + after.encode())
    place = f"not UTF-8 at byte {len(before.encode()):,} (0xff)"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charlm.data.sources.CHUNK_BYTES", chunk_bytes)
        with pytest.raises(TextError, match=re.escape(place)):
            read(source)


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 4, 5, 1 << 20])
@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("aé朝".encode()[:-1], r"byte 3 \(0xe6\)"),  # the last character breaks off
        ("aé".encode() + b"\xe6\x9cb", r"byte 3 \(0xe6\)"),
        ("é" * 600 + "x", None),
        (("é" * 600).encode() + b"\xe9t\xe9", r"byte 1,200 \(0xe9\)"),
    ],
)
def test_a_character_that_breaks_off_is_told_by_its_first_byte(
    content, place, chunk_bytes, tmp_path, monkeypatch
):
    monkeypatch.setattr("charlm.data.sources.CHUNK_BYTES", chunk_bytes)
    source = file_source(tmp_path, content.encode() if isinstance(content, str) else content)

    if place is None:
        assert read(source) == content
        return
    with pytest.raises(TextError, match=place):
        read(source)


def test_a_bad_byte_beyond_the_first_megabyte_is_told_by_its_place(tmp_path):
    source = file_source(tmp_path, b"a" * 2_000_000 + b"\xe9")

    with pytest.raises(TextError, match=r"byte 2,000,000 \(0xe9\)"):
        read(source)


def test_a_byte_order_mark_is_left_out_and_noted(tmp_path):
    source = file_source(tmp_path, "\ufeffa tale\ufeff".encode())

    assert read(source) == "a tale\ufeff"
    assert source.has_byte_order_mark


def test_only_one_byte_order_mark_is_left_out(tmp_path):
    assert read(file_source(tmp_path, "\ufeff\ufeffa".encode())) == "\ufeffa"


def test_a_byte_order_mark_stays_where_bytes_are_learnt(tmp_path):
    source = file_source(tmp_path, "\ufeffa tale".encode(), any_bytes=True)

    assert read(source) == "\ufeffa tale"
    assert not source.has_byte_order_mark


def test_a_text_without_a_byte_order_mark_has_none(tmp_path):
    source = file_source(tmp_path, b"a tale")

    assert read(source) == "a tale"
    assert not source.has_byte_order_mark


@pytest.mark.parametrize("suffix", COMPRESS)
def test_compressed_texts_are_unpacked_by_name_as_often_as_needed(suffix, tmp_path):
    text = "a naïve tale\r\n" * 1000
    source = file_source(tmp_path, COMPRESS[suffix](text.encode()), "tale.txt" + suffix)

    assert read(source) == text
    assert read(source) == text


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_compressed_text_of_several_streams_is_read_to_its_end(suffix, tmp_path):
    packed = b"".join(COMPRESS[suffix](part) for part in (b"a fox, ", b"", b"an owl ", b"a bat"))

    assert read(file_source(tmp_path, packed, "tale.txt" + suffix)) == "a fox, an owl a bat"


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_text_packed_small_is_unpacked_a_megabyte_at_a_time(suffix, tmp_path):
    source = file_source(tmp_path, COMPRESS[suffix](bytes(5_000_000)), "tale.txt" + suffix)

    sizes = [len(chunk) for chunk in source.chunks()]

    assert sum(sizes) == 5_000_000
    assert max(sizes) <= CHUNK_BYTES


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_compressed_text_that_breaks_off_is_an_error(suffix, tmp_path):
    content = random.Random(1).randbytes(10_000).hex().encode()
    packed = COMPRESS[suffix](content)
    source = file_source(tmp_path, packed[: len(packed) // 2], "tale.txt" + suffix)

    with pytest.raises(TextError, match=rf"tale\.txt\{suffix} "):
        read(source)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_text_that_is_not_what_its_name_says_is_an_error(suffix, tmp_path):
    source = file_source(tmp_path, b"a tale that was never packed" * 100, "tale.txt" + suffix)

    with pytest.raises(TextError, match=rf"tale\.txt\{suffix} "):
        read(source)


def test_a_gz_file_with_a_damaged_byte_is_an_error(tmp_path):
    packed = bytearray(gzip.compress(b"a tale of a fox and an owl" * 10))
    packed[-6] ^= 1  # in the check sum
    source = file_source(tmp_path, bytes(packed), "tale.gz")

    with pytest.raises(TextError, match=r"tale\.gz cannot be read"):
        read(source)


def test_without_its_library_a_zst_file_is_answered_with_how_to_install_it(tmp_path, monkeypatch):
    source = file_source(tmp_path, COMPRESS[".zst"](b"a tale"), "tale.zst")
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    monkeypatch.delattr("backports.zstd", raising=False)

    with pytest.raises(TextError, match=r"pip install charlm\[zstd\]"):
        read(source)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TextError, match=r"missing\.txt does not exist; name a text file"):
        read(Source(str(tmp_path / "missing.txt")))


def test_a_folder_is_named(tmp_path):
    with pytest.raises(TextError, match="is a folder; name the text files in it"):
        read(Source(str(tmp_path)))


def test_a_name_may_hold_any_character(tmp_path):
    assert read(file_source(tmp_path, b"a tale", "tale [1] *é%20#?.txt")) == "a tale"


def test_standard_input_is_read_again_from_where_it_was_kept(monkeypatch):
    text = "a naïve tale\r\n" * 100
    stdin = io.TextIOWrapper(io.BytesIO(text.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    source = UserSource(STDIN)

    assert source.name == "standard input"
    assert read(source) == text
    assert b"".join(source.chunks()) == text.encode()
    assert read(source) == text


def test_standard_input_is_called_by_its_name_in_errors(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))

    with pytest.raises(TextError, match="standard input is not UTF-8 at byte 0"):
        read(UserSource(STDIN))


def test_a_closed_standard_input_is_an_error(monkeypatch):
    """As of `charlm vocab show - <&-`."""
    monkeypatch.setattr(sys, "stdin", None)

    with pytest.raises(TextError, match="standard input is closed; name a file"):
        read(UserSource(STDIN))


@pytest.fixture
def memory(monkeypatch):
    """A file system of fsspec that needs no network, as if it were on the list."""
    monkeypatch.setattr("charlm.data.sources.REMOTE_PROTOCOLS", ("memory",))
    return fsspec.filesystem("memory")


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_remote_texts_are_read_by_their_address(suffix, memory):
    content = COMPRESS.get(suffix, bytes)(b"a tale from afar")
    memory.pipe(f"/afar/tale.txt{suffix}", content)

    text = read(UserSource(f"memory://afar/tale.txt{suffix}"))

    memory.rm("/afar", recursive=True)
    assert text == "a tale from afar"


def test_a_remote_text_that_is_not_there_is_named(memory):
    with pytest.raises(TextError, match="memory://nowhere does not exist"):
        read(UserSource("memory://nowhere"))


class ClientError(Exception):
    """As aiohttp's, which is no OSError."""


@pytest.mark.parametrize("fails", ["url_to_fs", "open", "read"])
@pytest.mark.parametrize("said", ["no connection", ""])
def test_any_error_of_a_remote_file_system_is_one_line(fails, said, memory, monkeypatch):
    def fail(*_, **__):
        raise ClientError(said)

    memory.pipe("/tale.txt", b"a tale")
    place = {
        "url_to_fs": "fsspec.url_to_fs",
        "open": "fsspec.implementations.memory.MemoryFileSystem.open",
        "read": "fsspec.implementations.memory.MemoryFile.read",
    }
    monkeypatch.setattr(place[fails], fail, raising=False)

    with pytest.raises(TextError, match=f"cannot be read: {said or 'ClientError'}\\."):
        read(UserSource("memory://tale.txt"))


def test_a_damaged_remote_text_is_said_to_be_damaged(memory):
    memory.pipe("/tale.txt.gz", gzip.compress(b"a tale")[:-4])

    with pytest.raises(TextError, match="is damaged and cannot be unpacked"):
        read(UserSource("memory://tale.txt.gz"))


def test_an_error_of_the_system_is_said_without_its_number(tmp_path):
    with pytest.raises(TextError, match=r"x cannot be read: File name too long\.$"):
        read(UserSource(str(tmp_path / ("x" * 300))))


def test_the_protocols_of_remote_texts_are_a_short_list():
    assert REMOTE_PROTOCOLS == ("http", "https", "s3", "gs", "gcs", "hf")


NOT_ALLOWED = [
    "nosuch://tale",
    "memory://tale",
    "ftp://127.0.0.1/tale",
    "reference://tale",
    "Reference://tale",
    "zip://tale.txt::https://127.0.0.1/tales.zip",
    "http://127.0.0.1/tales::reference://tale",
    "simplecache::http://127.0.0.1/tale",
    "https://127.0.0.1/::file:///etc/passwd",
]


@pytest.mark.parametrize("address", NOT_ALLOWED)
def test_other_and_chained_addresses_are_refused_before_fsspec_sees_them(address, monkeypatch):
    monkeypatch.delattr("fsspec.url_to_fs")

    with pytest.raises(TextError, match=r"not one of http://|chains addresses"):
        read(UserSource(address))


@pytest.mark.parametrize(
    "address", [*NOT_ALLOWED, "http://127.0.0.1/tale", "hf://a/b", "file:///x"]
)
def test_what_a_file_names_is_never_remote(address, monkeypatch):
    monkeypatch.delattr("fsspec.url_to_fs")

    with pytest.raises(TextError, match="name the text on the command line"):
        read(Source(address))


def test_a_file_cannot_name_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)

    with pytest.raises(TextError, match="standard input is named in a file"):
        read(Source(STDIN))


def test_a_user_may_write_a_local_file_as_an_address(tmp_path):
    (tmp_path / "tale.txt.gz").write_bytes(gzip.compress(b"a tale"))

    assert read(UserSource(f"file://{tmp_path}/tale.txt.gz")) == "a tale"


def test_the_type_of_a_name_says_who_gave_it():
    (given,) = user_paths(["-"])

    assert type(source_of("-")) is type(source_of(str(given) + "")) is Source
    assert type(source_of(given)) is UserSource
    assert type(json.loads(json.dumps(given))) is str


@pytest.mark.parametrize("kind", [Source, UserSource])
@pytest.mark.parametrize("linked", [False, True])
def test_a_device_is_refused(kind, linked, tmp_path):
    path = tmp_path / "tale.txt"
    path.symlink_to("/dev/zero")

    with pytest.raises(TextError, match="cannot be read: it is a device, not a regular file"):
        read(kind(str(path) if linked else "/dev/zero"))


def test_a_pipe_that_a_file_names_is_refused(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)

    with pytest.raises(TextError, match="it is a named pipe, not a regular file"):
        read(Source(str(path)))


def test_a_text_that_memory_cannot_hold_is_refused_while_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("charlm.data.sources.MAX_WHOLE_BYTES", 2 << 20)
    source = file_source(tmp_path, b"a\n" * 3_000_000, "tale.txt")
    packed = file_source(tmp_path, gzip.compress(b"a\n" * 3_000_000), "tale.txt.gz")

    for each in (source, packed):
        for whole in (whole_text, whole_content):
            with pytest.raises(TextError, match=r"larger than 2,097,152 bytes.*split it"):
                whole(each)


def test_lines_are_parted_by_line_feeds_alone(tmp_path):
    text = "a\r\n\n\x0cb\u2028c\nd"
    source = file_source(tmp_path, text.encode())

    assert list(lines_of(source)) == text.split("\n") == whole_text(source).split("\n")


def test_a_line_without_end_is_refused(tmp_path, monkeypatch):
    source = file_source(tmp_path, b"a" * 5_000_000)
    monkeypatch.setattr("charlm.data.sources.MAX_LINE_CHARS", 2 << 20)

    with pytest.raises(TextError, match="a line of more than 2,097,152 characters"):
        list(lines_of(source))


def test_a_pipe_is_read_again_like_a_file(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(b"a tale",))
    writer.start()
    source = UserSource(str(path))

    first, second = read(source), read(source)
    writer.join()

    assert first == second == "a tale"


@pytest.mark.parametrize("rest", [b"", b"\0\0\0\0", b"something else"])
@pytest.mark.parametrize("format", [lzma.FORMAT_XZ, lzma.FORMAT_ALONE])
def test_streams_of_xz_in_a_row_are_read_whatever_follows(folder, rest, format):
    text = random.Random(3).randbytes(99) * 30_000
    streams = [lzma.compress(part, format, preset=9) for part in (text[:99], b"", text[99:])]

    source = file_source(folder, bytes(8).join(streams) + rest, "tale.xz", any_bytes=True)

    assert b"".join(source.chunks()) == text


def test_xz_that_takes_much_memory_to_unpack_is_refused(folder):
    """Its dictionary is as large as its header says, whatever its size."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 128 << 20}]
    large = lzma.compress(b"a tale", filters=filters)

    for content in (large, lzma.compress(b"a tale") + large):
        with pytest.raises(TextError, match=r"takes more than 75,497,472 bytes .* `xz -9`"):
            list(file_source(folder, content, "tale.xz").chunks())


@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_small_packed_file_of_a_large_text_is_not_held_in_memory(folder, suffix):
    text = b"the cat sat on the mat\n" * (SMALL_BYTES // 23 + 1)
    packed = file_source(folder, COMPRESS[suffix](text), f"tale{suffix}")
    unpacked = file_source(folder, text)

    for read in (whole_text, whole_content):
        assert len(read(unpacked)) == len(text)
        with pytest.raises(TextError, match=r"more than 16,777,216 bytes, .* unpack it"):
            read(packed)
    assert sum(map(len, packed.chunks())) == len(text)


def test_the_size_of_a_text_is_that_of_its_bytes(folder):
    source = file_source(folder, "船".encode() * 10)
    source.max_whole_bytes = 30
    assert whole_text(source) == "船" * 10

    source.max_whole_bytes = 29
    with pytest.raises(TextError, match="more than 29 bytes"):
        whole_text(source)
