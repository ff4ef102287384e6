"""Token files: ids and counts come back; what is damaged or half-written is not a token file."""

import hashlib
import os
import zlib
from dataclasses import FrozenInstanceError, asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.data.frames import Framing, Piece, frame_pieces
from charlm.data.token_file import (
    CHECKSUM_BYTES,
    HEADER_BYTES,
    MAGIC,
    TextCounter,
    TextCounts,
    batch_pieces,
    join_frames,
    open_token_file,
    pack_checksum,
    pack_header,
    token_dtype,
    write_token_file,
)
from charlm.errors import StorageError, TextError
from charlm.text import TextConfig, build_tokenizer
from charlm.untrusted import RefusedFileError

TALE = "The fox ate\r\nthe moon.\n\n\nThe naïve owl,\n朝!\n"
FRAMES = ("line", "paragraph", "document")
VOCAB_SIZE = build_tokenizer(TextConfig(), [TALE]).vocab_size


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tokens")


@pytest.fixture
def path(tmp_path):
    tokenizer = build_tokenizer(TextConfig(), [TALE])
    write_token_file(tmp_path / "tale.tokens", pieces_of(TALE), tokenizer)
    return tmp_path / "tale.tokens"


def pieces_of(text, frame="line"):
    return list(frame_pieces([text], Framing(frame=frame)))


@pytest.mark.parametrize(
    ("vocab_size", "dtype"),
    [(3, "uint8"), (256, "uint8"), (257, "uint16"), (65536, "uint16"), (65537, "uint32")],
)
def test_ids_take_the_smallest_type_that_holds_them(vocab_size, dtype):
    assert token_dtype(vocab_size) == dtype
    assert token_dtype(vocab_size).type(vocab_size - 1) == vocab_size - 1


@pytest.mark.parametrize(
    ("num_words", "dtype"),
    [(253, "uint8"), (254, "uint16"), (65533, "uint16"), (65534, "uint32")],
)
def test_a_file_holds_the_largest_id_of_its_vocabulary(num_words, dtype, tmp_path):
    known = " ".join(f"w{i}" for i in range(num_words))
    tokenizer = build_tokenizer(TextConfig(level="word", vocab_size=num_words), [known])

    file = write_token_file(tmp_path / "tokens", pieces_of(known + " unknown"), tokenizer)

    assert tokenizer.vocab_size == num_words + 3
    assert file.tokens.dtype == dtype
    assert file.tokens.tolist() == [num_words, *range(num_words), num_words + 2, num_words + 1]


@pytest.mark.parametrize("level", ["char", "byte", "bpe", "word"])
@pytest.mark.parametrize("frame", FRAMES)
def test_what_is_written_is_what_is_opened(level, frame, tmp_path):
    tokenizer = build_tokenizer(TextConfig(level=level), [TALE])
    pieces = pieces_of(TALE, frame)

    written = write_token_file(tmp_path / "tokens", iter(pieces), tokenizer)

    opened = open_token_file(tmp_path / "tokens", tokenizer.vocab_size)
    assert opened.counts == written.counts
    assert len(opened) == len(written) == len(opened.tokens)
    assert np.array_equal(opened.tokens, written.tokens)
    assert np.array_equal(opened.tokens, join_frames(pieces, tokenizer))


@given(text=st.text(alphabet="ab é朝🚀\n\r\t\0"), frame=st.sampled_from(FRAMES))
@settings(max_examples=60)
def test_counts_are_those_of_the_text(folder, text, frame):
    pieces = pieces_of(text, frame)
    tokenizer = build_tokenizer(TextConfig(), [text])

    file = write_token_file(folder / "tokens", pieces, tokenizer)

    assert file.counts == TextCounts(
        num_words=len(text.split()),
        num_chars=len(text),
        num_bytes=len(text.encode()),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )
    num_frames = file.tokens.tolist().count(tokenizer.stop_id)
    assert len(file) == 2 * num_frames + sum(len(piece.text) for piece in pieces)


@given(octets=st.binary())
@settings(max_examples=40)
def test_bytes_that_are_not_utf8_count_one_each(octets):
    counter = TextCounter()

    counter.add(Piece(octets.decode("utf-8", "surrogateescape"), "", opens=True, closes=True))

    assert counter.counts.num_bytes == len(octets)
    assert counter.counts.sha256 == hashlib.sha256(octets).hexdigest()


@given(text=st.text(alphabet="ab é朝\n\r"), frame=st.sampled_from(FRAMES))
@settings(max_examples=40)
def test_texts_are_told_apart_by_their_bytes_and_not_by_their_frames(folder, text, frame):
    counters = [TextCounter() for _ in range(3)]
    for counter, each, own_frame in zip(
        counters, (text, text, text + "a"), ("line", frame, frame), strict=True
    ):
        for piece in pieces_of(each, own_frame):
            counter.add(piece)

    one, same, other = (counter.counts for counter in counters)
    assert one == same
    assert one.sha256 != other.sha256


def test_counts_are_those_of_all_pieces_so_far():
    counter = TextCounter()
    counter.add(Piece("the fox", "\n", opens=True, closes=True))
    first = counter.counts
    counter.add(Piece("é", "", opens=True, closes=True))

    assert (first.num_words, first.num_chars, first.num_bytes) == (2, 8, 8)
    assert first.sha256 == hashlib.sha256(b"the fox\n").hexdigest()
    assert counter.counts == TextCounts(3, 9, 10, hashlib.sha256("the fox\né".encode()).hexdigest())


@pytest.mark.parametrize(
    ("texts", "num_words"),
    [
        (["the fo", "x"], 2),
        (["the", " fox"], 2),
        (["the fox ", "sat"], 3),
        (["f", "o", "x"], 1),
        (["fox", ""], 1),
        (["fox", "", "es"], 1),
    ],
)
def test_a_word_that_is_cut_counts_once(texts, num_words):
    pieces = [Piece(text, "", opens=at == 0, closes=False) for at, text in enumerate(texts)]
    counter = TextCounter()

    for piece in [*pieces, Piece("next", "", opens=True, closes=True)]:
        counter.add(piece)

    assert counter.counts.num_words == num_words + 1


@pytest.mark.parametrize("level", ["word", "char", "bpe", "byte"])
def test_a_word_of_200_000_letters_is_one_word(folder, level):
    text = f"the fox {'x' * 200_000} sat the fox sat"
    tokenizer = build_tokenizer(TextConfig(level=level), ["the fox sat the fox sat"])

    file = write_token_file(folder / "tokens", pieces_of(text, "document"), tokenizer)

    assert file.counts.num_words == 7
    if level == "word":
        assert file.tokens.tolist().count(tokenizer.other_id) == 1


def test_counts_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        TextCounts().num_words = 1


@given(text=st.text(alphabet="ab \n"), size=st.integers(1, 9))
@settings(max_examples=40)
def test_the_tokens_do_not_depend_on_the_batches(folder, text, size):
    pieces = pieces_of(text)
    tokenizer = build_tokenizer(TextConfig(), [text])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charlm.data.token_file.BATCH_CHARS", size)
        batches = list(batch_pieces(pieces))
        file = write_token_file(folder / "tokens", pieces, tokenizer)

    assert [piece for batch in batches for piece in batch] == pieces
    assert all(sum(piece.num_chars for piece in batch[:-1]) < size for batch in batches)
    assert file.tokens.tolist() == join_frames(pieces, tokenizer).tolist()


def test_start_and_stop_stand_where_frames_open_and_close():
    tokenizer = build_tokenizer(TextConfig(), ["ab"])
    start, stop = tokenizer.start_id, tokenizer.stop_id
    pieces = [
        Piece("a", "", opens=True, closes=False),
        Piece("b", "\n", opens=False, closes=True),
        Piece("", "\n", opens=False, closes=False),
        Piece("", "\n", opens=True, closes=True),
        Piece("b", "", opens=True, closes=True),
    ]

    ids = join_frames(pieces, tokenizer)

    assert ids.tolist() == [start, 0, 1, stop, start, stop, start, 1, stop]
    assert ids.dtype == np.uint32


def test_a_text_without_frames_makes_an_empty_file(tmp_path):
    tokenizer = build_tokenizer(TextConfig(), ["ab"])

    file = write_token_file(tmp_path / "tokens", [], tokenizer)

    assert len(file) == 0
    assert file.tokens.dtype == np.uint8
    assert file.counts == TextCounts(sha256=hashlib.sha256(b"").hexdigest())


def test_tokens_are_mapped_and_cannot_be_changed(path):
    tokens = open_token_file(path, VOCAB_SIZE).tokens

    assert isinstance(tokens, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        tokens[0] = 1


@pytest.mark.parametrize("kept", [0, 10, 100, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 1, -1])
def test_a_file_that_breaks_off_is_refused(path, kept):
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(ValueError):
        open_token_file(path, VOCAB_SIZE)


def test_a_file_that_is_too_long_is_refused(path):
    path.write_bytes(path.read_bytes() + b"\0")

    with pytest.raises(ValueError, match="cut short"):
        open_token_file(path, VOCAB_SIZE)


@pytest.mark.parametrize(
    "head", [b"", b"a tale of a fox", b"charlm tokens 1\n{}", b"charlm tokens 9"]
)
def test_a_file_of_another_kind_is_refused(path, head):
    path.write_bytes(head.ljust(2 * HEADER_BYTES))

    with pytest.raises(ValueError, match="not a token file"):
        open_token_file(path, VOCAB_SIZE)


@pytest.mark.parametrize("head", [b"", b"{", b"\xff", b"[]", b"{}", b'{"dtype": "fox"}'])
def test_a_damaged_header_is_refused(path, head):
    magic = path.read_bytes().split(b"{")[0]
    path.write_bytes((magic + head).ljust(HEADER_BYTES))

    with pytest.raises(ValueError):
        open_token_file(path, VOCAB_SIZE)


GOOD = {"name": "tale.tokens", "dtype": "uint8", "vocab_size": VOCAB_SIZE, "num_tokens": 3}
COUNTS = asdict(TextCounts(1, 1, 1, "f00"))


def write_file(path, tokens, **changes):
    header = {**GOOD, "crc32": zlib.crc32(tokens), "counts": COUNTS, **changes}
    path.write_bytes(pack_header({k: v for k, v in header.items() if v is not None}) + tokens)


def test_a_header_written_by_hand_is_accepted_if_all_of_it_fits(path):
    write_file(path, bytes([0, 1, VOCAB_SIZE - 1]))

    assert open_token_file(path, VOCAB_SIZE).tokens.tolist() == [0, 1, VOCAB_SIZE - 1]


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": "object"},
        {"dtype": "O"},
        {"dtype": "int8"},
        {"dtype": "V1"},
        {"dtype": ["uint8"]},
        {"dtype": None},
        {"vocab_size": VOCAB_SIZE + 1},
        {"vocab_size": 1 << 80},
        {"num_tokens": 2},
        {"num_tokens": -1},
        {"num_tokens": 1 << 80},
        {"num_tokens": 3.0},
        {"num_tokens": "3"},
        {"num_tokens": True},
        {"crc32": 1},
        {"crc32": "x"},
        {"name": "other.tokens"},
        {"more": 1},
        {"counts": {}},
        {"counts": []},
        {"counts": {**COUNTS, "num_words": -1}},
        {"counts": {**COUNTS, "num_words": 1 << 80}},
        {"counts": {**COUNTS, "num_words": "1"}},
        {"counts": {**COUNTS, "sha256": 1}},
    ],
    ids=str,
)
def test_values_of_a_header_that_do_not_fit_are_refused_behind_a_valid_checksum(path, changes):
    write_file(path, bytes(3), **changes)

    with pytest.raises(ValueError):
        open_token_file(path, VOCAB_SIZE)


def test_an_id_that_is_not_in_the_vocabulary_is_refused(path):
    write_file(path, bytes([0, VOCAB_SIZE, 0]))

    with pytest.raises(ValueError, match="not in the vocabulary"):
        open_token_file(path, VOCAB_SIZE)


def test_a_deeply_nested_header_is_refused(path):
    content = b"[" * (HEADER_BYTES - len(MAGIC) - CHECKSUM_BYTES)
    path.write_bytes(MAGIC + pack_checksum(content) + content)

    with pytest.raises(ValueError):
        open_token_file(path, VOCAB_SIZE)


@pytest.mark.parametrize("block", [1 << 4, 1 << 20])
def test_a_flipped_byte_is_found_in_every_block(path, block, monkeypatch):
    monkeypatch.setattr("charlm.data.token_file.BLOCK_BYTES", block)
    content = path.read_bytes()

    for place in range(HEADER_BYTES, len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(ValueError):
            open_token_file(path, VOCAB_SIZE)

    path.write_bytes(content)
    assert len(open_token_file(path, VOCAB_SIZE)) == len(content) - HEADER_BYTES


def test_a_pipe_is_refused_without_waiting_for_its_writer(path):
    path.unlink()
    os.mkfifo(path)

    with pytest.raises(RefusedFileError, match="not a regular file"):
        open_token_file(path, VOCAB_SIZE)


def test_a_missing_file_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_token_file(tmp_path / "missing.tokens", VOCAB_SIZE)


def test_an_error_half_way_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("charlm.data.token_file.BATCH_CHARS", 1)
    tokenizer = build_tokenizer(TextConfig(), [TALE])

    def breaks_off():
        yield from pieces_of(TALE)
        raise TextError("the text breaks off")

    with pytest.raises(TextError, match="breaks off"):
        write_token_file(tmp_path / "tokens", breaks_off(), tokenizer)

    assert list(tmp_path.iterdir()) == []


def test_an_error_half_way_leaves_the_file_that_was_there(path):
    before = path.read_bytes()
    tokenizer = build_tokenizer(TextConfig(), [TALE])

    def breaks_off():
        yield from pieces_of("another tale")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_token_file(path, breaks_off(), tokenizer)

    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_missing_is_a_storage_error(tmp_path):
    tokenizer = build_tokenizer(TextConfig(), [TALE])

    with pytest.raises(StorageError, match="missing"):
        write_token_file(tmp_path / "missing" / "tokens", pieces_of(TALE), tokenizer)
