"""Where texts go, and what they look like there."""

import io
import json
import os
import sys
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.api import Choice, Generation, Piece
from charlm.cli.output import open_output, record, write_json, write_json_lines, write_texts
from charlm.errors import ConfigError, StorageError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
# A text is a prompt and the pieces of what follows it.
STORIES = st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=4)), min_size=1, max_size=6)


def pieces_of(index, story):
    prompt, parts = story
    last = len(parts) - 1
    return [
        Piece(index, prompt, p, 0, "length" if i == last else None) for i, p in enumerate(parts)
    ]


def mixed(stories, random):
    """The pieces of all texts, those of each in order, as a batch has them."""
    waiting = [pieces_of(index, story) for index, story in enumerate(stories)]
    while any(waiting):
        yield random.choice([pieces for pieces in waiting if pieces]).pop(0)


def whole(story):
    return story[0] + "".join(story[1]) + "\n"


def generation(text="fox", **more):
    return Generation("The ", text, (1, 2, 3), "length", **more)


@given(STORIES, st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_texts_come_whole_and_in_order_however_their_pieces_come(tmp_path_factory, stories, random):
    folder = tmp_path_factory.mktemp("texts")
    texts = [whole(story) for story in stories]

    write_texts(mixed(stories, random), str(folder / "all.txt"))
    write_texts(mixed(stories, random), str(folder / "each") + "/")

    assert (folder / "all.txt").read_bytes() == "\n".join(texts).encode()
    files = sorted((folder / "each").iterdir())
    assert [file.read_bytes() for file in files] == [text.encode() for text in texts]


def test_files_of_a_folder_are_numbered_in_the_order_of_the_texts(tmp_path):
    stories = [(str(index), ["x"]) for index in range(12)]

    write_texts(chain.from_iterable(map(pieces_of, range(12), stories)), f"{tmp_path}/new/deep/")

    names = sorted(path.name for path in (tmp_path / "new" / "deep").iterdir())
    assert names == [f"{i:04}.txt" for i in range(1, 13)]
    assert (tmp_path / "new" / "deep" / "0012.txt").read_text() == "11x\n"


def test_a_folder_that_is_there_needs_no_slash(tmp_path):
    write_texts(pieces_of(0, ("a", ["b"])), str(tmp_path))

    assert (tmp_path / "0001.txt").read_text() == "ab\n"


class Screen(io.StringIO):
    """What is flushed is seen."""

    seen = ""

    def flush(self):
        self.seen = self.getvalue()


def test_text_is_shown_as_it_comes(monkeypatch):
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr("charlm.cli.output.FLUSH_SECONDS", -1.0)
    seen = []

    def slowly():
        for piece in pieces_of(0, ("The ", ["f", "o", "x"])):
            yield piece
            seen.append(screen.seen)

    write_texts(slowly(), None)

    assert seen == ["The f", "The fo", "The fox"]
    assert screen.seen == "The fox\n"


def test_line_ends_stay_as_they_are(tmp_path):
    write_texts(pieces_of(0, ("a\r\nb\n", ["\r", "\n"])), str(tmp_path / "out"))

    assert (tmp_path / "out").read_bytes() == b"a\r\nb\n\r\n\n"


def test_bytes_that_are_no_text_go_out_as_they_are(tmp_path):
    write_texts(pieces_of(0, ("\udcff", ["\udcfe é"])), str(tmp_path / "out"))

    assert (tmp_path / "out").read_bytes() == b"\xff\xfe \xc3\xa9\n"


def test_a_file_that_is_there_is_replaced(tmp_path):
    (tmp_path / "out").write_text("a long text that was there before\n")

    write_texts(pieces_of(0, ("a", ["b"])), str(tmp_path / "out"))

    assert (tmp_path / "out").read_text() == "ab\n"


def stopped(error, text="new"):
    yield from pieces_of(0, ("", [text, "unseen"]))[:1]
    raise error


@pytest.mark.parametrize("error", [ConfigError("no token is left"), OSError(28, "full")])
def test_an_error_leaves_the_file_that_was_there(tmp_path, error):
    (tmp_path / "out").write_text("old")

    with pytest.raises((ConfigError, StorageError)):
        write_texts(stopped(error), str(tmp_path / "out"))

    assert (tmp_path / "out").read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


def test_a_file_that_is_there_is_complete_until_the_new_one_is(tmp_path):
    path = tmp_path / "out"
    path.write_text("old")
    seen = []

    def slowly():
        for text in ("a", "b"):
            yield generation(text)
            seen.append(path.read_text())

    write_json_lines(slowly(), str(path), seed=None)

    assert seen == ["old", "old"]
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("there", [True, False])
def test_what_was_written_before_an_interruption_is_kept(tmp_path, stop, there):
    if there:
        (tmp_path / "out").write_text("old")

    with pytest.raises(stop):
        write_texts(stopped(stop()), str(tmp_path / "out"))

    assert (tmp_path / "out").read_text() == "new\n"
    assert os.listdir(tmp_path) == ["out"]


def test_the_log_behind_standard_output_is_appended_to(tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    with log.open("ab") as file:
        write_texts(pieces_of(0, ("a", ["b"])), f"/dev/fd/{file.fileno()}")

    assert log.read_text() == "before\nab\n"


def test_a_record_says_what_there_is_to_say():
    assert record(generation()) == {"prompt": "The ", "text": "fox", "end": "length"}
    assert record(generation(log_prob=-2.0, score=-1.0)) == {
        "prompt": "The ",
        "text": "fox",
        "end": "length",
        "log_prob": -2.0,
        "score": -1.0,
    }
    choice = Choice("f", -0.5, (("g", -0.25), ("f", -0.5)))
    assert record(generation(choices=(choice,)))["tokens"] == [
        {
            "token": "f",
            "log_prob": -0.5,
            "alternatives": [{"token": "g", "log_prob": -0.25}, {"token": "f", "log_prob": -0.5}],
        }
    ]


@given(st.lists(TEXT, max_size=5), st.none() | st.integers(0, 2**63 - 1))
@settings(max_examples=40)
def test_json_and_json_lines_read_back_as_the_same_texts(tmp_path_factory, texts, seed):
    folder = tmp_path_factory.mktemp("json")
    generations = [generation(text) for text in texts]

    write_json(generations, str(folder / "a.json"), seed=seed)
    write_json_lines(generations, str(folder / "a.jsonl"), seed=seed)

    wanted = [record(g) for g in generations]
    assert json.loads((folder / "a.json").read_text()) == {"seed": seed, "texts": wanted}
    lines = (folder / "a.jsonl").read_bytes().decode().removesuffix("\n").split("\n")
    assert [json.loads(line) for line in lines if line] == [{**w, "seed": seed} for w in wanted]


def test_json_is_readable_where_the_text_is(tmp_path):
    write_json_lines([generation("ein Wörtchen ☃")], str(tmp_path / "a"), seed=None)

    assert "ein Wörtchen ☃" in (tmp_path / "a").read_text()


@pytest.mark.parametrize("write", [write_json, write_json_lines])
def test_json_is_utf8_whatever_bytes_the_text_holds(tmp_path, write):
    write([generation("\udcff é")], str(tmp_path / "a"), seed=None)

    content = json.loads((tmp_path / "a").read_bytes().decode())
    assert content.get("texts", [content])[0]["text"] == "\udcff é"


def test_a_json_line_is_there_as_soon_as_its_text_is(tmp_path):
    path = tmp_path / "a.jsonl"
    seen = []

    def slowly():
        for text in ("a", "b"):
            yield generation(text)
            seen.append(len(path.read_text().splitlines()))

    write_json_lines(slowly(), str(path), seed=None)

    assert seen == [1, 2]


def test_a_file_is_closed_but_standard_output_is_not(tmp_path):
    with open_output(str(tmp_path / "a")) as file:
        pass
    with open_output(None) as screen:
        pass

    assert file.closed
    assert screen is sys.stdout and not screen.closed


@pytest.mark.parametrize("write", [write_json, write_json_lines])
@pytest.mark.parametrize("slash", ["", "/"])
def test_json_is_not_written_to_a_folder(tmp_path, write, slash):
    with pytest.raises(ConfigError, match="is a folder"):
        write([generation()], str(tmp_path) + slash, seed=None)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("output", ["missing/a.txt", "file/a.txt", "file/"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, output):
    (tmp_path / "file").touch()

    with pytest.raises(StorageError, match=output.rstrip("/")):
        write_texts(pieces_of(0, ("a", ["b"])), f"{tmp_path}/{output}")


def test_a_full_disk_is_named():
    with pytest.raises(StorageError, match="/dev/full: the disk is full"):
        write_texts(pieces_of(0, ("a", ["b"])), "/dev/full")


def test_an_error_of_the_writing_is_none_of_the_file(tmp_path):
    def fails():
        yield from pieces_of(0, ("a", ["b"]))
        raise ConfigError("no token is left")

    with pytest.raises(ConfigError, match="no token is left"):
        write_texts(fails(), str(tmp_path / "out"))
