"""Minimal pairs as tables and as JSON lines."""

import json

import pytest

from charlm.data import MinimalPair, Source, read_pairs
from charlm.errors import TextError


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read pairs from the content of a file `pairs`."""
    monkeypatch.chdir(tmp_path)

    def read(content, pretokenized=False, **source):
        content = content if isinstance(content, bytes) else content.encode()
        (tmp_path / "pairs").write_bytes(content)
        return read_pairs(Source("pairs", **source), pretokenized=pretokenized)

    return read


FOX = MinimalPair("The fox eats.", "The fox eat.")
HENS = MinimalPair("The hens eat.", "The hens eats.")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("closed", [True, False])
def test_two_fields_are_good_and_bad(read, end, closed):
    content = f"The fox eats.\tThe fox eat.{end}The hens eat.\tThe hens eats.{end * closed}"

    assert read(content) == [FOX, HENS]


def test_a_third_field_is_the_group(read):
    (pair,) = read("The fox eats.\tThe fox eat.\tagreement\n")

    assert pair == MinimalPair("The fox eats.", "The fox eat.", "agreement")


@pytest.mark.parametrize("group", ["UID", "group", "phenomenon", "linguistics_term", "field"])
@pytest.mark.parametrize("names", [("sentence_good", "sentence_bad"), ("good", "bad")])
def test_a_first_line_may_name_the_fields_in_any_order_among_others(read, names, group):
    good, bad = names

    (pair,) = read(f"id\t{group}\t{bad}\t{good}\n7\tagreement\tThe fox eat.\tThe fox eats.\n")

    assert pair == MinimalPair("The fox eats.", "The fox eat.", "agreement")


def test_blimp_is_read_as_it_comes(read):
    pair = {
        "sentence_good": "Who should Derek hug after shocking Richard?",
        "sentence_bad": "Who should Derek hug Richard after shocking?",
        "field": "syntax",
        "linguistics_term": "island_effects",
        "UID": "adjunct_island",
        "lexically_identical": True,
        "pair_id": "0",
    }

    pairs = read(json.dumps(pair) + "\n" + json.dumps({**pair, "UID": "left_branch"}))

    assert [each.group for each in pairs] == ["adjunct_island", "left_branch"]
    assert {each.good for each in pairs} == {pair["sentence_good"]}
    assert {each.bad for each in pairs} == {pair["sentence_bad"]}


def test_json_may_leave_groups_out(read):
    (pair,) = read('{"sentence_good": "A fox.", "sentence_bad": "An fox."}\n')

    assert pair == MinimalPair("A fox.", "An fox.", "")


def test_a_byte_model_reads_any_bytes(read):
    (pair,) = read(b"a\xff\tb\n", any_bytes=True)

    assert pair.good == "a\udcff"


def test_pretokenized_pairs_come_without_the_marks_of_their_ends(read):
    content = "<s> a fox </s>\tan fox <eos>\n"

    assert read(content, pretokenized=True) == [MinimalPair("a fox", "an fox")]
    assert read(content) == [MinimalPair("<s> a fox </s>", "an fox <eos>")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a </s> fox\tan fox", "pairs:2: </s> is an end of a sentence within one"),
        ("<s> a fox\ta fox </s>", "pairs:2: both sentences are the same"),
    ],
)
def test_marks_of_pretokenized_pairs_that_say_nothing_good_are_told_by_their_line(read, line, said):
    with pytest.raises(TextError, match=said):
        read(f"a\tb\n{line}\n", pretokenized=True)


OBJECT = '{"sentence_good": "A fox.", "sentence_bad": "An fox.", "UID": "a"}\n'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "pairs is empty"),
        ("a\tb\n\nc\td\n", "pairs:2: the line is blank"),
        ("a\tb\n \t \n", "pairs:2: the line is blank"),
        ("The fox eats.\n", "pairs:1: expected a good sentence.* found 1 field;?"),
        ("a\tb\tc\td\n", "pairs:1: .*found 4 fields"),
        ("a\tb\nc\n", "pairs:2: expected 2 fields as on the first line.*found 1"),
        ("a\tb\tx\nc\td\n", "pairs:2: expected 3 fields as on the first line.*found 2"),
        ("a\tb\nc\td\tx\n", "pairs:2: expected 2 fields as on the first line.*found 3"),
        ("a\tb\n\td\n", "pairs:2: sentence_good is empty"),
        ("a\tb\nc\t \n", "pairs:2: sentence_bad is empty"),
        ("a\tb\tx\nc\td\t\n", "pairs:2: UID is empty"),
        ("a\tb\nc\tc\n", "pairs:2: both sentences are the same"),
        ("good\tbad\n", "pairs has a line of names, but no pair"),
        ("good\tUID\na\tb\n", "pairs:1: the names of the fields lack sentence_bad"),
        ("good\tbad\tbad\na\tb\tc\n", "pairs:1: a field is named twice"),
        ("good\tbad\tid\na\tb\n", "pairs:2: expected 3 fields"),
        (OBJECT + "{", "pairs:2: broken JSON"),
        (OBJECT + "[" * 100_000, "pairs:2: broken JSON"),
        (OBJECT + "[1]", r"pairs:2: expected a JSON object, not '\[1\]'"),
        (OBJECT + '{"sentence_good": "A."}', "pairs:2: .*'sentence_bad', but there is none"),
        (OBJECT + OBJECT.replace('"UID": "a"', '"x": 1'), "pairs:2: .*'UID', but there is none"),
        (OBJECT.replace('"a"', "7"), "pairs:1: expected a text as 'UID', but found 7"),
        (OBJECT.replace("A fox.", " "), "pairs:1: sentence_good is empty"),
        (OBJECT.replace("An fox.", "A fox."), "pairs:1: both sentences are the same"),
        (OBJECT.replace("A fox", r"A \ud83d fox"), "pairs:1: .*part of a character"),
        (b"a\tb\na\xff\tb\n", r"pairs:2: not UTF-8 \(0xff\); convert the file, .*-t utf-8`\.$"),
    ],
)
def test_mistakes_are_told_with_file_and_line(read, content, said):
    with pytest.raises(TextError, match=said) as caught:
        read(content)

    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
