"""Corpora that come with charlm: large enough, the same each time, made without running code."""

import importlib.util
import sysconfig
from itertools import islice
from types import SimpleNamespace

import pytest

from charlm.data import MADE_CORPORA, made_corpus
from charlm.data.made import SKIPPED, manual_topics
from charlm.errors import ConfigError


def test_tales_are_at_least_100_kilobytes():
    text = "".join(made_corpus("tales"))

    assert len(text.encode()) >= 100_000
    assert "\n\n" in text


def test_the_python_corpus_is_the_same_each_time_and_at_least_1_5_megabytes():
    once, again = made_corpus("python"), made_corpus("python")
    size = 0
    while size < 1_500_000:
        piece = next(once)
        assert next(again) == piece
        size += len(piece.encode())


def test_the_python_corpus_is_paragraphs_of_printable_text():
    for piece in islice(made_corpus("python"), 300):
        assert piece.endswith("\n\n") and piece.strip()
        assert piece.replace("\n", "").replace("\t", "").isprintable()


@pytest.fixture
def library(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr("charlm.data.made.manual_topics", lambda: iter([" a topic\n"]))
    return tmp_path


def test_docstrings_come_in_the_order_of_files_and_code_and_nothing_is_run(library):
    (library / "b.py").write_text('"""Second."""\nraise SystemExit\n')
    (library / "a.py").write_text(
        '"""First.\n\n    More.\n    """\n'
        'def f():\n    """A function."""\n'
        'class C:\n    """A class."""\n    async def g(self):\n        """A method."""\n'
        "def no_docstring(): ...\n"
    )

    pieces = list(made_corpus("python"))

    shown = ["a topic", "First.\n\nMore.", "A function.", "A class.", "A method.", "Second."]
    assert pieces == [f"{text}\n\n" for text in shown]


def test_files_that_are_no_python_and_texts_that_cannot_be_printed_are_passed_over(library):
    (library / "broken.py").write_text('"""Broken."""\ndef (:\n')
    (library / "bell.py").write_text('"""Rings \\a."""\n')

    assert list(made_corpus("python")) == ["a topic\n\n"]


@pytest.mark.parametrize("folder", sorted(SKIPPED - {"topics.py"}))
def test_packages_that_were_installed_are_no_part_of_the_corpus(library, folder):
    (library / folder).mkdir()
    (library / folder / "package.py").write_text('"""A package."""\n')

    assert list(made_corpus("python")) == ["a topic\n\n"]


def test_an_unknown_corpus_is_answered_with_those_there_are():
    with pytest.raises(ConfigError, match="no corpus 'ptb'; there are python, tales"):
        made_corpus("ptb")


@pytest.mark.parametrize("name", MADE_CORPORA)
def test_a_corpus_is_given_in_pieces_of_text(name):
    pieces = list(islice(made_corpus(name), 10))

    assert pieces and all(pieces)


def test_the_chapters_of_the_manual_come_by_name(tmp_path, monkeypatch):
    table = tmp_path / "topics.py"
    table.write_text("# a comment\ntopics = {'b': 'second', 'a': 'f' 'irst'}\n")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: SimpleNamespace(origin=table))

    assert list(manual_topics()) == ["first", "second"]


def test_an_installation_without_the_manual_has_no_chapters(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    assert list(manual_topics()) == []
