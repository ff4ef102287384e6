"""A folder as a corpus: the texts in it by name, and what is said of the rest."""

import gzip

import pytest

from charlm.data import Columns, CorpusConfig, expand_folders, read_corpus, read_labelled
from charlm.errors import TextError
from charlm.text import TextConfig


@pytest.fixture
def letters(tmp_path):
    """A folder with two texts among other things."""
    folder = tmp_path / "letters"
    (folder / "sub").mkdir(parents=True)
    (folder / "b.txt").write_text("second letter\n", encoding="utf-8")
    (folder / "a").write_text("first letter\n", encoding="utf-8")
    (folder / "c.txt.gz").write_bytes(gzip.compress(b"third letter\n"))
    (folder / ".hidden").write_text("hidden", encoding="utf-8")
    (folder / "photo.png").write_bytes(b"\x89PNG\0\0")
    return folder


def test_the_texts_of_a_folder_come_by_name(letters):
    found = expand_folders(["before.txt", str(letters), "-", "memory://x"])

    texts = [str(letters / name) for name in ("a", "b.txt", "c.txt.gz")]
    assert list(found.paths) == ["before.txt", *texts, "-", "memory://x"]
    assert found.notes == (
        f"{letters}: left out what is not text (NUL bytes): photo.png.",
        f"{letters}: left out the folders in it: sub.",
    )


def test_a_corpus_is_read_from_a_folder(letters):
    config = CorpusConfig(paths=(str(letters),), split=(100, 0, 0), frame="line")

    corpus = read_corpus(config, TextConfig())

    assert list(corpus.parts["train"]) == ["first letter", "second letter", "third letter"]
    assert corpus.config.paths == (str(letters),)
    assert len(corpus.notes) == 2


def test_a_changed_folder_is_another_corpus(letters):
    config = CorpusConfig(paths=(str(letters),), valid=(str(letters),))
    before = read_corpus(config, TextConfig()).sha256

    (letters / "d.txt").write_text("fourth", encoding="utf-8")

    assert read_corpus(config, TextConfig()).sha256 != before


def test_independent_frames_may_be_the_documents_of_a_folder(letters):
    config = CorpusConfig(paths=(str(letters),), independent_frames=True, frame="document")

    assert read_corpus(config, TextConfig()).framing.frame == "document"


@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ((), "holds no text files; name a file"),
        ((".hidden/x",), "holds no text files; name a file"),
        (("poems/a.txt", "prose/b.txt"), "but folders; name one of them, or train with --label"),
    ],
)
def test_a_folder_without_texts_is_one_clear_line(tmp_path, inside, said):
    (tmp_path / "empty").mkdir()
    for name in inside:
        path = tmp_path / "empty" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("text", encoding="utf-8")

    with pytest.raises(TextError, match=said):
        expand_folders([str(tmp_path / "empty")])


def test_many_left_out_are_counted(tmp_path):
    for number in range(9):
        (tmp_path / f"{number}.png").write_bytes(b"\0")
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")

    assert "0.png, 1.png, 2.png and 6 more" in expand_folders([str(tmp_path)]).notes[0]


def test_a_folder_of_very_many_files_is_listed(tmp_path, monkeypatch):
    """Were each looked for among all texts, a comparison of paths each, it would not end."""
    for number in range(200):
        (tmp_path / f"{number:03}.txt").write_text("a")
    compared = []
    equal = type(tmp_path).__eq__
    monkeypatch.setattr(
        type(tmp_path), "__eq__", lambda a, b: compared.append(a) or equal(a, b), raising=False
    )

    assert len(expand_folders([str(tmp_path)]).paths) == 200
    assert len(compared) < 1000


READERS = (lambda path: expand_folders([path]), lambda path: read_labelled(path, Columns()))


def test_an_empty_file_is_left_out_and_named(letters):
    (letters / "0.txt").touch()

    found = expand_folders([str(letters)])

    assert len(found.paths) == 3
    assert found.notes[0] == f"{letters}: left out empty files: 0.txt."


@pytest.mark.parametrize("read", READERS)
def test_a_checkpoint_is_no_folder_of_texts(letters, read):
    for name in ("config.json", "model.safetensors"):
        (letters / name).write_text("{}")

    with pytest.raises(TextError, match="letters is a checkpoint and not a folder of texts"):
        read(str(letters))
