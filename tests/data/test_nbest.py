"""N-best lists: what a line may hold, and how each mistake is told by its place."""

import gzip
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.data import (
    NbestEntry,
    Source,
    check_references,
    plain_texts,
    read_nbest,
    read_references,
)
from charlm.data.nbest import strip_marks
from charlm.errors import TextError

IDS = st.text(st.characters(exclude_categories=["Cs", "Z", "C"]), min_size=1, max_size=4)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r"), max_size=8)
SCORES = st.floats(-1e9, 1e9)


@pytest.fixture
def source(tmp_path):
    def write(content, name="nbest.tsv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return Source(str(path))

    return write


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("lists") / "nbest.tsv"


def plain(text, spaces=None):
    return next(plain_texts([(7, text)], spaces, "nbest.tsv"))


@given(
    rows=st.lists(st.tuples(IDS, SCORES, TEXTS), min_size=1, max_size=8),
    line_end=st.sampled_from(["\n", "\r\n"]),
    ended=st.booleans(),
)
@settings(max_examples=100)
def test_what_was_written_is_read_utterance_by_utterance(path, rows, line_end, ended):
    lines = [f"{utterance}\t{score!r}\t{text}" for utterance, score, text in rows]
    path.write_bytes((line_end.join(lines) + line_end * ended).encode())

    entries = read_nbest(Source(str(path)))

    utterances = list(dict.fromkeys(utterance for utterance, _, _ in rows))
    numbered = [NbestEntry(*row, line) for line, row in enumerate(rows, 1)]
    assert entries == sorted(numbered, key=lambda e: (utterances.index(e.utterance), e.line))


def test_only_line_breaks_end_a_line(source):
    text = "a\x0bb\x0cc\x1cd\x85e\u2028f\rg"

    entries = read_nbest(source(f"u1\t-1\t{text}\nu2\t-1\t\n"))

    assert [(e.text, e.line) for e in entries] == [(text, 1), ("", 2)]


def test_packed_lists_are_read_by_name(source):
    packed = source(gzip.compress(b"u1\t-1.5e1\ta fox"), "nbest.tsv.gz")

    assert read_nbest(packed) == [NbestEntry("u1", -15.0, "a fox", 1)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "the line is blank; expected utterance, score and text"),
        ("   ", "the line is blank"),
        ("\r", "the line is blank"),
        ("u1 -1 a fox", "parted by tabs; this line has no tab"),
        ("u1\t-1", "found 2 fields; add what lacks"),
        ("u1\t-1\ta\tb", "found 4 fields; `cut -f 1-3` cuts it"),
        ("\t-1\ta", "the utterance has no id"),
        ("u 1\t-1\ta", "the utterance id 'u 1' holds white space"),
        (" u1\t-1\ta", "the utterance id ' u1' holds white space"),
        ("u1\t\ta", "the score must be a finite number, a log-probability, not ''"),
        ("u1\ta\t-1", "the score must be a finite number, a log-probability, not 'a'"),
        ("u1\tnan\ta", "the score must be a finite number"),
        ("u1\tinf\ta", "the score must be a finite number"),
        ("u1\t-Infinity\ta", "the score must be a finite number"),
        ("u1\t-1e400\ta", "the score must be a finite number"),
        ("u1\t-1e101\ta", "the score must be a finite number"),
        ("u1\t1_0\ta", "the score must be a finite number"),
        ("u1\t\u0661\u0662\ta", "the score must be a finite number"),
        ("u1\t\xa0-1\ta", "the score must be a finite number"),
        ("u1\t-1.e\ta", "the score must be a finite number"),
        ("u1\t.\ta", "the score must be a finite number"),
        ("u1\t" + "9" * 400 + "x\ta", "not '" + "9" * 40 + "…'"),
    ],
)
@pytest.mark.parametrize("number", [1, 3])
def test_a_line_of_another_form_is_told_by_its_number(source, line, said, number):
    lines = ["u1\t-1\ta"] * 4
    lines[number - 1] = line

    with pytest.raises(TextError, match=re.escape(f"nbest.tsv:{number}: ") + ".*") as error:
        read_nbest(source("\n".join(lines) + "\n"))

    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("score", "value"),
    [("-12", -12), ("+3.", 3), (".5", 0.5), (" -1.5E+2 ", -150), ("2e-3", 0.002), ("007", 7)],
)
def test_scores_are_plain_numbers(source, score, value):
    assert read_nbest(source(f"u1\t{score}\ta"))[0].score == value


@pytest.mark.parametrize("read", [read_nbest, read_references])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"u1\t-1\ta\nu1\t-1\tf\xfcr\n", "nbest.tsv:2: not UTF-8 (0xfc); convert the file"),
        (b"u1\t-1\t\xe6", "nbest.tsv:1: not UTF-8 (0xe6)"),
        ("u1\t-1\ta\n".encode("utf-16"), "nbest.tsv:1: not UTF-8 (0xff); convert the file, for "),
        (b"u1\t-1\ta\n" * 200_000 + b"\xff", "nbest.tsv:200001: not UTF-8"),
    ],
)
def test_what_is_not_utf_8_is_told_by_its_line(source, read, content, said):
    with pytest.raises(TextError, match=re.escape(said)) as error:
        read(source(content))

    encoding = "utf-16" if content[0] == 0xFF else "latin1"
    assert str(error.value).endswith(f"`iconv -f {encoding} -t utf-8`.")


def test_a_list_that_is_not_there_is_said_to_be_so(tmp_path):
    with pytest.raises(TextError, match=r"missing\.tsv does not exist"):
        read_nbest(Source(str(tmp_path / "missing.tsv")))


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("the  fox", "the  fox"),
        ("<s> the  fox </s>", "the  fox"),
        ("<S> The fox", "The fox"),
        ("the fox <eos>", "the fox"),
        ("the fox </S>", "the fox"),
        ("the fox <stop>", "the fox"),
        ("<s> </s>", ""),
        ("<s>", ""),
        ("</s>", ""),
        ("", ""),
        ("<s>the fox</s>", "<s>the fox</s>"),
    ],
)
def test_marks_at_the_ends_of_a_text_go(text, stripped):
    assert strip_marks(text, "nbest.tsv:7") == stripped


@pytest.mark.parametrize(
    "text", ["a </s> b", "<s> <s> a", "a <eos> </s>", "a <s>", "</s> a", "a <STOP> b"]
)
def test_marks_elsewhere_are_told_by_their_line(text):
    with pytest.raises(TextError, match=r"^nbest\.tsv:7: <\S+> is an end of a sentence within one"):
        strip_marks(text, "nbest.tsv:7")


@pytest.mark.parametrize("read", [read_nbest, read_references])
@pytest.mark.parametrize("content", ["", "\ufeff"])
def test_an_empty_file_is_an_error(source, read, content):
    with pytest.raises(TextError, match=r"nbest\.tsv is empty; write a line"):
        read(source(content))


def test_a_blank_line_at_the_end_is_one_too(source):
    with pytest.raises(TextError, match=r"nbest\.tsv:2: the line is blank"):
        read_nbest(source("u1\t-1\ta\n\n"))


def test_references_keep_their_order(source):
    references = read_references(source("u2\ta fox\nu1\t\n"))

    assert list(references.items()) == [("u2", "a fox"), ("u1", "")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("u1\ta\nu1\tb\n", "nbest.tsv:2: 'u1' has a reference already"),
        ("u1\ta\n\n", "nbest.tsv:2: the line is blank; expected utterance and text"),
        ("u1 a\n", "nbest.tsv:1: expected utterance and text, parted by tabs"),
        ("u1\t-1\ta\n", "found 3 fields"),
        ("u 1\ta\n", "holds white space"),
    ],
)
def test_bad_references_are_told_by_their_line(source, content, said):
    with pytest.raises(TextError, match=re.escape(said)):
        read_references(source(content))


@pytest.mark.parametrize(
    ("utterances", "references", "said"),
    [
        ("a a b c", "a", "refs has no reference for 'b' and 1 more of lists"),
        ("a b", "a", "refs has no reference for 'b' of lists"),
        ("a a", "a b c d", "lists has no hypothesis for 'b' and 2 more of refs"),
    ],
)
def test_lists_and_references_are_of_the_same_utterances(utterances, references, said):
    entries = [NbestEntry(utterance, 0.0, "", 1) for utterance in utterances.split()]

    with pytest.raises(TextError, match=re.escape(said)):
        check_references(entries, dict.fromkeys(references.split(), ""), "lists", "refs")


def test_lists_and_references_of_the_same_utterances_are_right_in_any_order():
    entries = [NbestEntry(utterance, 0.0, "", 1) for utterance in "aab"]

    check_references(entries, {"b": "", "a": ""}, "lists", "refs")


def test_spaces_at_the_ends_of_a_text_go_and_those_within_stay():
    assert plain("  a  fox | ") == "a  fox |"


@pytest.mark.parametrize(
    ("text", "symbol", "read"),
    [
        ("T h e | c a t", "|", "The cat"),
        ("T h e  |  c a t ", "|", "The cat"),
        ("| a | | b |", "|", "a  b"),
        ("a <space> b", "<space>", "a b"),
        ("a | b", "<space>", "a|b"),
        ("e\u0301 t e\u0301", "|", "e\u0301te\u0301"),
        ("", "|", ""),
        ("| |", "|", ""),
    ],
)
def test_characters_parted_by_spaces_are_joined(text, symbol, read):
    assert plain(text, symbol) == read


@given(text=st.text(st.sampled_from("abÄ朝 "), max_size=12))
@settings(max_examples=60)
def test_parting_the_characters_of_a_text_is_undone(text):
    parted = " ".join(text.replace(" ", "|"))

    assert plain(parted, "|") == text.strip()


@pytest.mark.parametrize("text", ["T he | c a t", "a <space> b"])
def test_what_is_no_character_is_told_by_its_line(text):
    with pytest.raises(
        TextError, match=r"nbest\.tsv:7: expected characters .* found '(he|<space>)'"
    ):
        plain(text, "|")
