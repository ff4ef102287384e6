"""Frames: all text is kept, and where frames begin and end does not depend on the chunks."""

import re
import tracemalloc
from itertools import islice, pairwise, repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.data.frames import MAX_PIECE, Framing, Piece, frame_pieces, has_blank_line
from charlm.text import TextConfig, build_tokenizer

FRAMINGS = [
    Framing(frame=frame, pretokenized=pretokenized)
    for frame in ("line", "paragraph", "document")
    for pretokenized in (False, True)
] + [Framing(frame=frame, line_endings="lf") for frame in ("line", "paragraph")]
LINES = Framing(frame="line")
PARAGRAPHS = Framing(frame="paragraph")
LF_LINES = Framing(frame="line", line_endings="lf")
LF_PARAGRAPHS = Framing(frame="paragraph", line_endings="lf")
DOCUMENT = Framing(frame="document")
PRETOKENIZED_LINES = Framing(frame="line", pretokenized=True)

FRAGMENTS = ["a", "fox", "<eos>", "</s>", "é", " ", "  ", "\t", "\n", "\n", "\r\n", "\r", "\n\n"]
FRAGMENTS += ["\0", "\x0b", "\x85", "\u2028", "\u3000", "\ufeff"]
chunked_texts = st.lists(st.lists(st.sampled_from(FRAGMENTS)).map("".join), max_size=8)
texts = chunked_texts.map("".join)
plain_texts = st.lists(st.sampled_from(["a", "fox", " ", "\t", "\n", "\r\n", "\u3000"])).map(
    "".join
)


def original(pieces):
    return "".join(piece.text + piece.gap for piece in pieces)


def frames_of(pieces):
    """The text of each frame; frames open and close by turns, and a gap between them has none."""
    frames, inside = [], False
    for piece in pieces:
        assert not (inside and piece.opens)
        frames += [""] * piece.opens
        inside |= piece.opens
        if inside:
            frames[-1] += piece.text
        else:
            assert not piece.text and not piece.closes
        inside &= not piece.closes
    assert not inside
    return frames


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
@given(chunks=chunked_texts)
@settings(max_examples=60)
def test_texts_and_gaps_in_a_row_are_the_original(framing, chunks):
    assert original(frame_pieces(chunks, framing)) == "".join(chunks)


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
@given(chunks=chunked_texts)
@settings(max_examples=200)
def test_frames_do_not_depend_on_the_chunks(framing, chunks):
    text = "".join(chunks)

    whole = frames_of(frame_pieces([text], framing))

    assert frames_of(frame_pieces(chunks, framing)) == whole
    assert frames_of(frame_pieces(text, framing)) == whole  # a character at a time


@pytest.mark.parametrize(
    ("framing", "chunks", "frames"),
    [
        (PARAGRAPHS, ["a\n\n ", "\nb"], ["a", "b"]),
        (PARAGRAPHS, ["a\r\n\r\n\r", "\nb"], ["a", "b"]),
        (PRETOKENIZED_LINES, ["a <eos>\r", "\nb"], ["a", "b"]),
        (PRETOKENIZED_LINES, ["a <eos>", "x\nb"], ["a <eos>x", "b"]),
        (LINES, ["a\n \t", "\n\r", "\nb"], ["a", "b"]),
        (LINES, ["a\r", "\nb"], ["a", "b"]),
    ],
)
def test_a_separator_may_go_on_in_the_next_chunk(framing, chunks, frames):
    assert frames_of(frame_pieces(chunks, framing)) == frames
    assert frames_of(frame_pieces(["".join(chunks)], framing)) == frames


@given(text=texts)
@settings(max_examples=200)
def test_line_frames_are_the_lines_that_are_not_blank(text):
    lines = [line for line in re.split("\r\n|\n|\r", text) if line.strip()]
    lf_lines = [line for line in re.split("\r?\n", text) if line.strip()]

    assert frames_of(frame_pieces([text], LINES)) == lines
    assert frames_of(frame_pieces([text], LF_LINES)) == lf_lines


@given(text=plain_texts)
@settings(max_examples=200)
def test_paragraph_frames_are_runs_of_lines_between_empty_lines(text):
    paragraphs = [[]]
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.strip(" \t"):
            paragraphs[-1].append(line)
        else:
            paragraphs.append([])
    naive = ["\n".join(paragraph).strip() for paragraph in paragraphs]

    frames = frames_of(frame_pieces([text], PARAGRAPHS))

    found = [frame.replace("\r\n", "\n").strip() for frame in frames]
    assert found == [paragraph for paragraph in naive if paragraph]


@given(text=texts)
@settings(max_examples=50)
def test_a_document_is_one_frame(text):
    assert frames_of(frame_pieces([text], DOCUMENT)) == [text] * bool(text)


@given(text=plain_texts.map(lambda text: text + "\n"))
@settings(max_examples=100)
def test_each_line_of_a_pretokenized_text_is_a_frame_even_a_blank_one(text):
    frames = frames_of(frame_pieces([text], PRETOKENIZED_LINES))

    assert [frame.split() for frame in frames] == [line.split() for line in text.split("\n")[:-1]]


def test_the_blank_lines_of_wikitext_are_frames():
    text = " \n = Fox = \n \n The fox <unk> . \n"

    pieces = list(frame_pieces([text], PRETOKENIZED_LINES))

    assert frames_of(pieces) == ["", " = Fox =", "", " The fox <unk> ."]
    assert [piece.gap for piece in pieces] == [" \n"] * 4


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("a b <eos>\nc </s>\n", ["a b", "c"]),
        ("a <eos> b </s> c", ["a", "b", "c"]),
        ("a <eos> <eos>\n", ["a", ""]),
        ("a <eos>\r\nb\r\n", ["a", "b"]),
        ("x<eos> </s>y\n", ["x<eos> </s>y"]),
    ],
)
def test_an_end_mark_ends_a_line_of_a_pretokenized_text(text, frames):
    assert frames_of(frame_pieces([text], PRETOKENIZED_LINES)) == frames


def test_an_end_mark_is_text_where_the_text_is_not_pretokenized():
    assert frames_of(frame_pieces(["a <eos> b\n"], LINES)) == ["a <eos> b"]


def test_gaps_hold_the_line_ends_as_they_stand():
    pieces = list(frame_pieces(["\r\na\r\n \r\nb\n"], LINES))

    assert pieces == [
        Piece("", "\r\n", opens=False, closes=False),
        Piece("a", "\r\n \r\n", opens=True, closes=True),
        Piece("b", "\n", opens=True, closes=True),
    ]


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_an_empty_text_has_no_frames(framing):
    assert list(frame_pieces([], framing)) == []
    assert list(frame_pieces(["", ""], framing)) == []


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_pieces_of_an_endless_text_come_before_its_end(framing):
    line = "a fox and an owl" + ("" if framing.frame == "document" else "\n\n")

    pieces = list(islice(frame_pieces(repeat(line), framing), 3))

    assert len(pieces) == 3
    assert all(len(piece.text) <= MAX_PIECE for piece in pieces)


words = st.text(alphabet="ab’'.é朝", min_size=1, max_size=8)  # noqa: RUF001
spaces = st.text(alphabet=" \n\t\u00a0\u3000", min_size=1, max_size=3)
proses = st.lists(st.tuples(words, spaces).map("".join), min_size=8, max_size=40)


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
@given(chunks=proses)
@settings(max_examples=40)
def test_a_long_frame_is_cut_before_white_space(framing, chunks):
    whole = frames_of(frame_pieces(["".join(chunks)], framing))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charlm.data.frames.MAX_PIECE", 16)
        pieces = list(frame_pieces(chunks, framing))

    assert original(pieces) == "".join(chunks)
    assert frames_of(pieces) == whole
    assert all(len(piece.text) <= 16 for piece in pieces)
    for before, after in pairwise(pieces):
        if after.text and not after.opens:
            assert after.text[0].isspace() and not before.text[-1].isspace()


@pytest.mark.parametrize(
    "config",
    [
        TextConfig(level="char"),
        TextConfig(level="byte"),
        TextConfig(level="bpe", vocab_size=300),
        TextConfig(level="word"),
        TextConfig(level="word", pretokenized=True),
    ],
    ids=str,
)
@given(chunks=proses)
@settings(max_examples=25)
def test_the_pieces_of_a_long_frame_encode_like_the_whole(config, chunks):
    text = "".join(chunks)
    tokenizer = build_tokenizer(config, [text])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charlm.data.frames.MAX_PIECE", 16)
        pieces = list(frame_pieces(chunks, DOCUMENT))

    assert len(pieces) > 1 or len(text) <= 32
    encoded = tokenizer.encode_batch([piece.text for piece in pieces])
    assert [token for ids in encoded for token in ids] == tokenizer.encode(text)


def test_a_character_that_only_python_calls_white_space_cuts_no_byte_pair_token(monkeypatch):
    text = "fox !\x1c! " * 20
    tokenizer = build_tokenizer(TextConfig(level="bpe"), [text])
    monkeypatch.setattr("charlm.data.frames.MAX_PIECE", 6)

    pieces = list(frame_pieces([text], DOCUMENT))

    encoded = [token for piece in pieces for token in tokenizer.encode(piece.text)]
    assert encoded == tokenizer.encode(text)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_no_frame_keeps_its_line_ending(ending, last):
    text = ending.join(["a", "b", "", "c", "d"]) + ending * last

    lines = frames_of(frame_pieces([text], LINES))
    paragraphs = frames_of(frame_pieces(text, PARAGRAPHS))  # a character at a time

    assert lines == ["a", "b", "c", "d"]
    assert paragraphs == [f"a{ending}b", f"c{ending}d"]
    assert frames_of(frame_pieces([text], DOCUMENT)) == [text]


def test_lines_as_earlier_checkpoints_read_them():
    assert frames_of(frame_pieces(["a\rb\r\nc\n"], LF_LINES)) == ["a\rb", "c"]
    assert frames_of(frame_pieces(["a\n\nb\r\n"], LF_PARAGRAPHS)) == ["a", "b\r\n"]


def test_rules_that_cut_differently_have_different_versions():
    assert (LINES.version, PARAGRAPHS.version) == (2, 2)
    others = (LF_LINES, LF_PARAGRAPHS, DOCUMENT, PRETOKENIZED_LINES)
    assert [framing.version for framing in others] == [1, 1, 1, 1]


def test_a_run_without_white_space_is_cut_where_it_is_longer_than_a_word_may_be(monkeypatch):
    monkeypatch.setattr("charlm.data.frames.MAX_PIECE", 8)
    monkeypatch.setattr("charlm.data.frames.MAX_WORD", 16)

    pieces = list(frame_pieces(["x" * 50, "x" * 50], DOCUMENT))

    assert [len(piece.text) for piece in pieces] == [16] * 6 + [4]
    assert [piece.opens for piece in pieces] == [True] + [False] * 6
    assert [piece.closes for piece in pieces] == [False] * 6 + [True]


@pytest.mark.parametrize("size", [1, 7, 1000])  # characters of a chunk
def test_a_word_longer_than_a_piece_is_not_cut(monkeypatch, size):
    monkeypatch.setattr("charlm.data.frames.MAX_PIECE", 16)
    text = f"a fox {'x' * 200} and {'y' * 300}"
    chunks = [text[at : at + size] for at in range(0, len(text), size)]

    pieces = list(frame_pieces(chunks, DOCUMENT))

    assert original(pieces) == text
    assert [piece.text for piece in pieces if "xx" in piece.text] == [f" {'x' * 200}"]
    assert [piece.text for piece in pieces if "yy" in piece.text] == [f" {'y' * 300}"]


@given(
    parts=st.lists(
        st.sampled_from(
            ["fox", "3.1", "'", "don't", "猫", "か", ",", ".", "-", "👍", "👩\u200d👧", "1"]
        )
    )
)
@settings(max_examples=100)
def test_a_long_run_without_white_space_is_cut_where_words_begin(parts):
    text = "".join(parts)
    tokenizer = build_tokenizer(TextConfig(level="word"), [text])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charlm.data.frames.MAX_PIECE", 4)
        pieces = list(frame_pieces([text], DOCUMENT))

    encoded = [token for piece in pieces for token in tokenizer.encode(piece.text)]
    assert encoded == tokenizer.encode(text)
    assert len(pieces) > 1 or len(text) <= 8 or not set(parts) & {"猫", "か", "-"}


def test_a_long_run_of_a_pretokenized_text_is_one_word(monkeypatch):
    monkeypatch.setattr("charlm.data.frames.MAX_PIECE", 4)

    pieces = list(frame_pieces(["a b " + "猫-" * 20 + " c"], PRETOKENIZED_LINES))

    assert " " + "猫-" * 20 in [piece.text for piece in pieces]


@pytest.mark.parametrize("framing", FRAMINGS, ids=str)
def test_a_long_frame_that_ends_in_endless_white_space_is_closed(framing, monkeypatch):
    monkeypatch.setattr("charlm.data.frames.MAX_PIECE", 4)
    chunks = ["word" + " " * 20, "\n\n", "next"]

    pieces = list(frame_pieces(chunks, framing))

    assert original(pieces) == "".join(chunks)
    assert " ".join(frames_of(pieces)).split() == ["word", "next"]


def test_a_line_of_the_real_limit_is_cut():
    text = "fox " * MAX_PIECE

    pieces = list(frame_pieces([text], LINES))

    assert original(pieces) == text
    assert frames_of(pieces) == [text]
    assert all(0 < len(piece.text) <= MAX_PIECE for piece in pieces)


def test_a_piece_is_cut_into_two_of_the_same_frame():
    head, tail = Piece("fox and owl", "\n", opens=True, closes=True).cut(3)

    assert head == Piece("fox", "", opens=True, closes=False)
    assert tail == Piece(" and owl", "\n", opens=False, closes=True)
    assert head.num_chars + tail.num_chars == len("fox and owl\n")


@pytest.mark.parametrize(
    ("text", "blank_line"),
    [
        ("a\n\nb", True),
        ("a\r\n\r\nb", True),
        ("a\n \t\nb", True),
        ("a\n\n\n\nb", True),
        ("a\nb\n", False),
        ("\n\na", False),
        ("a\n\n", False),
        ("a\r\rb", True),
        ("a\r\nb", False),
        ("", False),
    ],
)
def test_a_blank_line_is_one_between_two_paragraphs(text, blank_line):
    assert has_blank_line(text) is blank_line


ENDING = r"(?>\r\n|\n|\r)"
PLAIN = {
    "lines": (LINES, rf"{ENDING}(?:[ \t]*{ENDING})*"),
    "paragraphs": (PARAGRAPHS, rf"{ENDING}(?:[ \t]*{ENDING})+|{ENDING}[ \t]*\Z"),
    "lf lines": (LF_LINES, r"\r?\n(?:[ \t]*\r?\n)*"),
    "lf paragraphs": (LF_PARAGRAPHS, r"\r?\n(?:[ \t]*\r?\n)+"),
    "pretokenized": (
        PRETOKENIZED_LINES,
        r"[ \t]*(?<!\S)(?:<eos>|</s>)(?!\S)[ \t]*(?:\r?\n)?|[ \t]*\r?\n",
    ),
}


@pytest.mark.parametrize(("framing", "plain"), PLAIN.values(), ids=PLAIN)
@given(
    st.lists(st.sampled_from(["\r", "\n", " ", "\t", "\v", "x", "<eos>", "</s>"]), max_size=40).map(
        "".join
    )
)
@settings(max_examples=400)
def test_separators_are_those_of_plain_patterns(framing, plain, text):
    found = [match.span() for match in framing.separator.finditer(text)]

    assert found == [match.span() for match in re.finditer(plain, text)]


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("blank", [" ", "\t", "\n", "\r\n", " \n"])
def test_a_text_of_much_white_space_takes_little_time_and_memory(framing, blank):
    """Looked at from each of its characters, it would take minutes."""
    text = "a" + blank * (1 << 17) + "b\n"
    pieces = frame_pieces([text], framing)
    tracemalloc.start()
    try:
        assert sum(piece.num_chars for piece in pieces) == len(text)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 16 * len(text)
