"""A corpus: its parts are contiguous, add up to the whole and never share a word."""

import gzip
import io
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.data import (
    PARTS,
    CorpusConfig,
    Framing,
    TextPart,
    frame_pieces,
    parse_split,
    read_corpus,
    read_text,
)
from charlm.data.sources import STDIN, Source, UserPath
from charlm.errors import ConfigError, TextError
from charlm.text import TextConfig, build_tokenizer

TALE = "The fox ate the moon.\nThe owl saw it.\n\nThe moon came back.\n" * 5
CHARS = TextConfig(level="char")
WORDS = TextConfig(level="word")
LEVELS = [TextConfig(level=level) for level in ("char", "byte", "bpe", "word")]
LEVELS.append(TextConfig(level="word", pretokenized=True))

words = st.text(alphabet="abé朝", min_size=1, max_size=7)
spaces = st.sampled_from([" ", " ", "  ", "\n", "\n", "\r\n", "\n\n", " \n \n", "\t"])
texts = st.lists(st.tuples(words, spaces).map("".join), max_size=40).map(
    lambda chunks: "a b " + "".join(chunks)
)
splits = st.tuples(st.integers(1, 100), st.integers(0, 100)).map(
    lambda cut: (float(cut[0]), min(100.0 - cut[0], cut[1]), max(0.0, 100.0 - cut[0] - cut[1]))
)
frames = st.sampled_from([None, "line", "paragraph", "document"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("corpora")


@pytest.fixture
def tale(tmp_path):
    return write(tmp_path / "tale.txt", TALE)


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def corpus_of(*paths, text=CHARS, **settings):
    return read_corpus(CorpusConfig(paths=paths, **settings), text)


def original(part):
    return "".join(piece.text + piece.gap for piece in part.pieces())


def frames_of(pieces):
    """The text of each frame; checks that each one opens and closes."""
    found, inside = [], False
    for piece in pieces:
        assert not (inside and piece.opens)
        found += [""] * piece.opens
        inside |= piece.opens
        if inside:
            found[-1] += piece.text
        else:
            assert not piece.text and not piece.closes
        inside &= not piece.closes
    assert not inside
    return found


@pytest.mark.parametrize("text", LEVELS, ids=str)
@given(content=texts, split=splits, frame=frames, chunk_bytes=st.sampled_from([8, 1 << 20]))
@settings(max_examples=40)
def test_parts_in_a_row_are_the_whole_text(folder, text, content, split, frame, chunk_bytes):
    path = write(folder / "tale.txt", content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charlm.data.sources.CHUNK_BYTES", chunk_bytes)
        patch.setattr("charlm.data.frames.MAX_PIECE", 16)
        corpus = corpus_of(path, text=text, split=split, frame=frame)
        parts = [original(corpus.parts[part]) for part in PARTS]
        again = [original(corpus.parts[part]) for part in PARTS]

    assert "".join(parts) == content
    assert parts == again
    assert corpus.num_chars == len(content)


@given(content=texts, split=splits, frame=frames)
@settings(max_examples=100)
def test_no_word_is_cut_in_two_between_parts_at_word_level(folder, content, split, frame):
    path = write(folder / "tale.txt", content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charlm.data.frames.MAX_PIECE", 16)
        corpus = corpus_of(path, text=WORDS, split=split, frame=frame)
        found = [word for part in PARTS for word in original(corpus.parts[part]).split()]

    assert found == content.split()


@pytest.mark.parametrize("frame", ["line", "paragraph"])
@given(content=texts, split=splits)
@settings(max_examples=60)
def test_no_line_or_paragraph_is_cut_in_two_between_parts(folder, frame, content, split):
    path = write(folder / "tale.txt", content)
    whole = frames_of(frame_pieces([content], Framing(frame=frame)))

    corpus = corpus_of(path, split=split, frame=frame)

    found = [frame for part in PARTS for frame in frames_of(corpus.parts[part].pieces())]
    assert found == whole


@given(content=texts, split=splits)
@settings(max_examples=60)
def test_each_part_of_a_document_is_a_document(folder, content, split):
    path = write(folder / "tale.txt", content)

    corpus = corpus_of(path, split=split)

    for part in PARTS:
        text = original(corpus.parts[part])
        assert frames_of(corpus.parts[part].pieces()) == [text] * bool(text)


@pytest.mark.parametrize("text", LEVELS[:3], ids=str)
@pytest.mark.parametrize("length", [2, 9, 10, 11, 99, 1000])
def test_a_90_10_0_split_of_a_document_cuts_at_nine_tenths_of_its_characters(
    text, length, tmp_path, monkeypatch
):
    monkeypatch.setattr("charlm.data.frames.MAX_PIECE", 16)
    content = ("naïve 朝 foxes " * length)[:length]

    corpus = corpus_of(write(tmp_path / "tale.txt", content), text=text, split=(90, 10, 0))

    cut = int(0.9 * length)
    assert [original(corpus.parts[p]) for p in PARTS] == [content[:cut], content[cut:], ""]


def test_the_default_split_is_90_5_5(tale):
    parts = corpus_of(tale).parts

    lengths = [len(original(parts[part])) for part in PARTS]

    assert lengths == [int(0.9 * len(TALE)), 15, len(TALE) - int(0.9 * len(TALE)) - 15]


def test_a_frame_belongs_to_the_part_in_which_it_begins(tmp_path):
    path = write(tmp_path / "tale.txt", "aaaaaaaa\nbb\ncc\n")  # 15 characters, cut at 7.5

    corpus = corpus_of(path, split=(50, 50, 0), frame="line")

    assert original(corpus.parts["train"]) == "aaaaaaaa\n"
    assert original(corpus.parts["valid"]) == "bb\ncc\n"


def test_a_word_belongs_to_the_part_in_which_it_begins(tmp_path):
    path = write(tmp_path / "tale.txt", "aaaaaaaa bb cc")

    corpus = corpus_of(path, text=WORDS, split=(50, 50, 0), frame="document")

    assert original(corpus.parts["train"]) == "aaaaaaaa"
    assert original(corpus.parts["valid"]) == " bb cc"


def test_each_file_is_a_document_and_all_together_are_split(tmp_path):
    paths = [write(tmp_path / f"{letter}.txt", letter * 10) for letter in "abc"]

    corpus = corpus_of(*paths, split=(50, 40, 10))

    found = [frames_of(corpus.parts[part].pieces()) for part in PARTS]
    assert found == [["a" * 10, "b" * 5], ["b" * 5, "c" * 7], ["c" * 3]]
    assert corpus.num_chars == 30


def test_a_file_ends_its_last_line(tmp_path):
    paths = [write(tmp_path / "a.txt", "a fox"), write(tmp_path / "b.txt", "an owl\n")]

    corpus = corpus_of(*paths, split=(100, 0, 0), frame="line")

    assert frames_of(corpus.parts["train"].pieces()) == ["a fox", "an owl"]


def test_named_files_are_the_valid_and_test_parts(tale, tmp_path):
    fox, owl, bat = (write(tmp_path / name, f"the {name} ") for name in ("fox", "owl", "bat"))

    corpus = corpus_of(tale, valid=(fox, owl), test=(bat,))

    assert original(corpus.parts["train"]) == TALE
    assert frames_of(corpus.parts["valid"].pieces()) == ["the fox ", "the owl "]
    assert original(corpus.parts["test"]) == "the bat "
    assert corpus.num_chars == len(TALE)


@pytest.mark.parametrize("part", ["valid", "test"])
def test_naming_one_part_leaves_the_other_empty_and_training_whole(part, tale, tmp_path):
    named = write(tmp_path / "named.txt", "the end ")

    corpus = corpus_of(tale, **{part: (named,)})

    texts = {name: original(corpus.parts[name]) for name in PARTS}
    assert texts == {"train": TALE, "valid": "", "test": "", part: "the end "}


@pytest.mark.parametrize("text", [CHARS, WORDS], ids=str)
@pytest.mark.parametrize("named", [False, True])
def test_the_vocabulary_comes_from_the_training_part_alone(text, named, tmp_path):
    first, last = "the fox and the fox and " * 9, "öwl öwl " * 27
    if named:
        path = write(tmp_path / "train.txt", first)
        valid = write(tmp_path / "valid.txt", last)
        corpus = corpus_of(path, text=text, valid=(valid,), test=(valid,))
    else:
        path = write(tmp_path / "tale.txt", first + last)
        corpus = corpus_of(path, text=text, split=(50, 25, 25), frame="document")

    tokenizer = build_tokenizer(text, corpus.parts["train"])

    assert tokenizer.other_id not in tokenizer.encode("the fox and")
    assert tokenizer.unknown("öwl") == (["öwl"] if text is WORDS else ["ö", "w", "l"])


def test_going_through_a_part_gives_its_text_again_and_again(tale):
    part = corpus_of(tale, split=(100, 0, 0)).parts["train"]

    assert "".join(part) == TALE
    assert "".join(part) == TALE


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("90/5/5", (90, 5, 5)),
        ("80/10/10", (80, 10, 10)),
        ("98.5/1/0.5", (98.5, 1, 0.5)),
        ("100/0/0", (100, 0, 0)),
    ],
)
def test_a_split_is_read(text, frame):
    assert parse_split(text) == frame
    assert CorpusConfig(paths=("tale",), split=parse_split(text)).split == frame


@pytest.mark.parametrize("text", ["", "90", "90/10", "90/5/5/0", "90,5,5", "a/b/c", "90/5/"])
def test_a_split_that_is_not_three_numbers_is_refused(text):
    with pytest.raises(ConfigError, match="--split must look like 90/5/5"):
        parse_split(text)


@pytest.mark.parametrize(
    "text", ["90/5/6", "80/5/5", "110/-5/-5", "0.9/0.05/0.05", "inf/5/5", "nan/5/5"]
)
def test_a_split_that_is_not_a_hundred_per_cent_is_refused(text):
    with pytest.raises(ConfigError, match="three percentages of sum 100"):
        CorpusConfig(paths=("tale",), split=parse_split(text))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"paths": ()}, "at least one text"),
        ({"paths": (STDIN, STDIN)}, "name `-` once"),
        ({"paths": (STDIN,), "test": (STDIN,)}, "name `-` once"),
        ({"paths": ("tale",), "split": (0, 50, 50)}, "nothing to train on"),
        ({"paths": ("a",), "valid": ("b",), "split": (90, 5, 5)}, "no effect beside --valid"),
        ({"paths": ("a",), "test": ("b",), "split": (90, 5, 5)}, "no effect beside --valid"),
        ({"paths": ("tale",), "frame": "chapter"}, "line, paragraph, document"),
    ],
)
def test_settings_that_cannot_be_or_have_no_effect_are_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        CorpusConfig(**settings)


def test_independent_frames_have_no_effect_on_one_document(tale):
    with pytest.raises(ConfigError, match="--independent-frames has no effect on one document"):
        corpus_of(tale, independent_frames=True)

    assert corpus_of(tale, tale, independent_frames=True).framing.frame == "document"
    assert corpus_of(tale, independent_frames=True, frame="line").framing.frame == "line"


@pytest.mark.parametrize(
    ("text", "content", "frame"),
    [
        (CHARS, "a fox\n\nan owl\n", "document"),
        (TextConfig(level="byte"), "a fox\n\nan owl\n", "document"),
        (TextConfig(level="bpe"), "a fox\n\nan owl\n", "document"),
        (WORDS, "a fox\n\nan owl\n", "paragraph"),
        (WORDS, "a fox\r\n \r\nan owl\r\n", "paragraph"),
        (WORDS, "a fox\nan owl\n", "line"),
        (WORDS, "\n\na fox\nan owl\n\n", "line"),
        (TextConfig(level="word", pretokenized=True), "a fox\n\nan owl\n", "line"),
    ],
)
def test_words_come_in_paragraphs_or_lines_and_the_rest_in_documents(
    text, content, frame, tmp_path
):
    corpus = corpus_of(write(tmp_path / "tale.txt", content), text=text)

    assert corpus.config.frame == corpus.framing.frame == frame
    assert corpus.framing.pretokenized is text.pretokenized


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 7, 8, 9])
def test_a_blank_line_is_seen_wherever_chunks_end(chunk_bytes, tmp_path, monkeypatch):
    monkeypatch.setattr("charlm.data.sources.CHUNK_BYTES", chunk_bytes)

    corpus = corpus_of(write(tmp_path / "tale.txt", "one fox\r\n\r\nan owl\n"), text=WORDS)

    assert corpus.framing.frame == "paragraph"


def test_a_frame_that_is_asked_for_is_taken(tale):
    assert corpus_of(tale, text=WORDS, frame="document").config.frame == "document"


@pytest.mark.parametrize("text", LEVELS, ids=str)
def test_an_empty_file_is_nothing_to_learn_from(text, tmp_path):
    with pytest.raises(TextError, match=r"empty\.txt is empty; a model needs"):
        corpus_of(write(tmp_path / "empty.txt", ""), text=text)


@pytest.mark.parametrize("text", LEVELS, ids=str)
@pytest.mark.parametrize("content", ["\n" * 100, "aaaa", "a"])
def test_one_character_over_and_over_is_nothing_to_learn_from(text, content, tmp_path):
    with pytest.raises(TextError, match="holds nothing but"):
        corpus_of(write(tmp_path / "tale.txt", content), text=text)


def test_a_byte_order_mark_alone_is_an_empty_text(tmp_path):
    with pytest.raises(TextError, match="is empty"):
        corpus_of(write(tmp_path / "tale.txt", b"\xef\xbb\xbf"))


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_text_is_named_whatever_part_it_is(part, tale, tmp_path):
    missing = str(tmp_path / "missing.txt")
    paths = {"paths": (tale,), "paths" if part == "train" else part: (missing,)}

    with pytest.raises(TextError, match=r"missing\.txt does not exist"):
        read_corpus(CorpusConfig(**paths), CHARS)


def test_a_folder_without_texts_is_no_corpus(tmp_path):
    with pytest.raises(TextError, match="holds no text files"):
        corpus_of(str(tmp_path))


def test_bytes_that_are_not_utf8_are_an_error_unless_bytes_are_learnt(tmp_path):
    content = b"na\xefve " * 100
    path = write(tmp_path / "latin1.txt", content)

    with pytest.raises(TextError, match=r"latin1\.txt is not UTF-8 at byte 2 \(0xef\)"):
        corpus_of(path)

    corpus = corpus_of(path, text=TextConfig(level="byte"), split=(100, 0, 0))
    assert original(corpus.parts["train"]).encode("utf-8", "surrogateescape") == content


def test_a_byte_order_mark_is_noted_and_no_part_of_the_text(tmp_path):
    path = write(tmp_path / "tale.txt", "\ufeff" + TALE)

    corpus = corpus_of(path, split=(100, 0, 0))

    assert len(corpus.notes) == 1
    assert "tale.txt begins with a byte-order mark" in corpus.notes[0]
    assert original(corpus.parts["train"]) == TALE
    assert corpus.num_chars == len(TALE)


@pytest.mark.parametrize("labelled", [False, True])
def test_many_texts_with_a_byte_order_mark_have_one_note_with_their_number(tmp_path, labelled):
    for label in ("sad", "glad"):
        (tmp_path / "moods" / label).mkdir(parents=True)
        for number in range(30):
            write(tmp_path / "moods" / label / f"{number}.txt", "\ufeff" + TALE)
    write(tmp_path / "plain.txt", TALE)
    files = [str(path) for path in sorted((tmp_path / "moods").rglob("*.txt"))]

    if labelled:
        corpus = corpus_of(str(tmp_path / "moods"), labelled=True, independent_frames=True)
    else:
        corpus = corpus_of(*files, str(tmp_path / "plain.txt"))

    said = "60 texts: each begins with a byte-order mark, which is not text: left out."
    assert corpus.notes == (said,)


def test_an_ordinary_text_needs_no_note(tale):
    assert corpus_of(tale).notes == ()


def test_the_same_content_has_the_same_name_whatever_the_file(tale, tmp_path):
    copy = write(tmp_path / "copy.txt", TALE)
    packed = write(tmp_path / "tale.txt.gz", gzip.compress(TALE.encode()))

    names = {corpus_of(path).sha256 for path in (tale, copy, packed)}

    assert len(names) == 1


def test_another_content_or_order_or_part_has_another_name(tale, tmp_path):
    fox, owl = write(tmp_path / "fox.txt", "a fox"), write(tmp_path / "owl.txt", "an owl")

    corpora = [
        corpus_of(tale),
        corpus_of(tale, fox),
        corpus_of(fox, tale),
        corpus_of(tale, owl),
        corpus_of(tale, fox, valid=(owl,)),
        corpus_of(tale, valid=(fox,)),
        corpus_of(tale, test=(fox,)),
        corpus_of(tale, valid=(fox, owl)),
        corpus_of(tale, valid=(fox,), test=(owl,)),
    ]

    assert len({corpus.sha256 for corpus in corpora}) == len(corpora)


def test_standard_input_is_a_corpus_that_is_read_as_often_as_needed(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(TALE.encode())))

    corpus = corpus_of(UserPath(STDIN))

    assert "".join(original(corpus.parts[part]) for part in PARTS) == TALE
    assert "".join(original(corpus.parts[part]) for part in PARTS) == TALE


def test_a_text_to_evaluate_is_one_part(tale):
    part = read_text(tale, Framing(frame="document"), any_bytes=False)

    assert frames_of(part.pieces()) == [TALE]


@pytest.mark.parametrize(("name", "told"), [("empty", "is empty; there is"), ("none", "not exist")])
def test_a_text_to_evaluate_that_is_empty_or_missing_is_named(name, told, tmp_path):
    write(tmp_path / "empty", "")

    with pytest.raises(TextError, match=f"{name} .*{told}|{name} {told}"):
        read_text(str(tmp_path / name), Framing(frame="line"), any_bytes=False)


@given(content=texts, start=st.integers(0, 60), end=st.integers(0, 60), whole_words=st.booleans())
@settings(max_examples=60)
def test_a_part_of_a_document_holds_the_characters_between_its_bounds(
    folder, content, start, end, whole_words
):
    source = Source(write(folder / "tale.txt", content))
    document = Framing(frame="document")

    def cut(bound):
        """Where the bound falls: at it, or at the end of the word it falls into."""
        while whole_words and 0 < bound < len(content) and not content[bound].isspace():
            bound += 1
        return bound

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charlm.data.frames.MAX_PIECE", 16)
        part = TextPart([source], document, start, max(start, end), whole_words=whole_words)
        text = original(part)

    assert text == content[cut(start) : cut(max(start, end))]


def test_words_on_one_endless_line_are_a_document_that_can_be_split(tmp_path):
    path = tmp_path / "endless.txt"
    path.write_text("a tale of a fox " * 100)

    corpus = read_corpus(CorpusConfig(paths=(str(path),)), TextConfig(level="word"))

    assert corpus.framing.frame == "document"
    assert all("".join(corpus.parts[part]) for part in PARTS)
