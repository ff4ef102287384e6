"""Texts with labels are read from tables, JSON lines and folders; mistakes are named."""

import gzip
import json

import pytest

from charlm.data import Columns, is_labelled, read_labelled
from charlm.errors import TextError


def texts(found):
    return {
        label: ["".join(source.texts()) for source in sources]
        for label, sources in found.sources.items()
    }


def write(path, content):
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    return str(path)


PLAIN = "sad\tAlas!\nglad\tHurrah! 😀\nsad\tWoe.\n"
EXPECTED = {"glad": ["Hurrah! 😀"], "sad": ["Alas!", "Woe."]}


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        PLAIN.replace("\n", "\r\n"),
        "label\ttext\n" + PLAIN,
        "id\ttext\tlabel\n1\tAlas!\tsad\n2\tHurrah! 😀\tglad\n3\tWoe.\tsad\n",
    ],
    ids=["no names", "CRLF", "names", "other columns"],
)
def test_a_table(tmp_path, content):
    found = read_labelled(write(tmp_path / "moods.tsv", content), Columns())

    assert texts(found) == EXPECTED
    assert list(found.sources) == ["glad", "sad"]
    assert not found.is_folder


def test_columns_may_have_other_names(tmp_path):
    path = write(tmp_path / "moods.tsv", "mood\tline\nsad\tAlas!\n")

    assert texts(read_labelled(path, Columns("mood", "line"))) == {"sad": ["Alas!"]}


def test_json_lines_and_packed_files(tmp_path):
    rows = [{"label": label, "text": text} for label, all in EXPECTED.items() for text in all]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    packed = tmp_path / "moods.jsonl.gz"
    packed.write_bytes(gzip.compress(lines.encode()))

    assert texts(read_labelled(write(tmp_path / "a.jsonl", lines), Columns())) == EXPECTED
    assert texts(read_labelled(str(packed), Columns())) == EXPECTED


def test_labels_of_json_may_be_numbers_and_texts_have_line_breaks(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"label": 1, "text": "one\\ntwo"}\n')

    assert texts(read_labelled(path, Columns())) == {"1": ["one\ntwo"]}


def test_a_folder_for_each_label(tmp_path):
    for label, name, text in [("sad", "b", "Woe."), ("sad", "a", "Alas!"), ("glad", "c", "Yes")]:
        (tmp_path / "moods" / label).mkdir(parents=True, exist_ok=True)
        write(tmp_path / "moods" / label / f"{name}.txt", text)
    write(tmp_path / "moods" / "notes.txt", "no label")
    write(tmp_path / "moods" / "sad" / ".hidden", "no text")

    found = read_labelled(str(tmp_path / "moods"), Columns())

    assert texts(found) == {"glad": ["Yes"], "sad": ["Alas!", "Woe."]}
    assert found.is_folder and is_labelled(str(tmp_path / "moods"))


def test_other_content_has_another_hash(tmp_path):
    hashes = {
        read_labelled(write(tmp_path / "a.tsv", content), Columns()).sha256
        for content in (PLAIN, PLAIN.replace("sad\tWoe", "glad\tWoe"), PLAIN)
    }

    assert len(hashes) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", PLAIN, "has no labels; name a .tsv or .jsonl file, or a folder"),
        ("a.tsv", "", "is empty; write a label and a text on each line"),
        ("a.tsv", "a\tb\tc\n", "a.tsv:1: there is no column 'label' among 'a, b, c'"),
        ("a.tsv", "label\tb\tc\n", "there is no column 'text' among"),
        ("a.tsv", "one field\n", "there is no column 'label' among 'one field'"),
        ("a.tsv", PLAIN + "sad\n", "a.tsv:4: expected 2 fields parted by tabs, but found 1"),
        ("a.tsv", PLAIN + "\tWoe\n", "a.tsv:4: the label is empty"),
        ("a.tsv", PLAIN + "sad\t \n", "a.tsv:4: the text is empty"),
        ("a.tsv", PLAIN + "a=1\tx\n", "a.tsv:4: a label must be printable and without '='"),
        ("a.jsonl", "{\n", "a.jsonl:1: broken JSON"),
        ("a.jsonl", "[1]\n", "a.jsonl:1: expected a JSON object"),
        ("a.jsonl", '{"text": "x"}\n', "a.jsonl:1: there is no 'label' among 'text'"),
        ("a.jsonl", '{"label": "x"}\n', "there is no 'text' among 'label'"),
        ("a.jsonl", '{"label": "x", "text": 1}\n', "expected a text, not 1"),
        ("a.jsonl", '{"label": [1], "text": "x"}\n', "expected a text, not \\[1\\]"),
        ("a.jsonl", '{"label": "x", "text": "\\ud800"}\n', "part of a character"),
    ],
)
def test_mistakes_are_named(tmp_path, name, content, message):
    with pytest.raises(TextError, match=message):
        read_labelled(write(tmp_path / name, content), Columns())


def test_a_column_that_is_asked_for_must_be_there(tmp_path):
    path = write(tmp_path / "a.tsv", PLAIN)

    with pytest.raises(TextError, match="there is no column 'genre'"):
        read_labelled(path, Columns(label="genre"))


def test_a_folder_without_folders_has_no_labels(tmp_path):
    write(tmp_path / "a.txt", "text")

    with pytest.raises(TextError, match="has no folder with texts in it"):
        read_labelled(str(tmp_path), Columns())


def test_an_empty_file_in_a_folder_is_left_out_and_named(tmp_path):
    for name, content in {"up/a": "yes", "up/b": "", "down/c": "no"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)

    found = read_labelled(str(tmp_path), Columns())

    assert {label: len(sources) for label, sources in found.sources.items()} == {"up": 1, "down": 1}
    assert found.notes == (f"{tmp_path}: left out empty files: up/b.",)


def test_unreadable_inner_folder_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "moods" / "sad").mkdir(parents=True)
    (tmp_path / "moods" / "sad" / "a.txt").write_text("Woe.")

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.is_file", refuse)
    with pytest.raises(TextError, match="sad may not be read"):
        read_labelled(str(tmp_path / "moods"), Columns())
