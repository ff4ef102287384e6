"""`charlm export`: n-gram models as files."""

import os
import re

import pytest

from charlm.api import load, train_ngram
from charlm.api.mixing import read_ngram
from charlm.training import find_part


def said(result):
    """What is wrong: one line on stderr, status 1, nothing on stdout."""
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert result.err.startswith("error: ")
    return result.err


@pytest.mark.parametrize("level", ["char", "word", "byte", "bpe"])
def test_an_arpa_file_holds_the_model_of_the_training_tokens(charlm, models, tmp_path, level):
    result = charlm("export", models(level), "--arpa", "m.arpa", "--order", 3)

    checkpoint = load(models(level), "cpu").checkpoint
    model, again = train_ngram(checkpoint, 3), read_ngram(checkpoint, str(tmp_path / "m.arpa"))
    tokens = find_part(checkpoint, "test").tokens
    assert (result.status, result.out) == (0, "")
    assert again.log_probs(tokens) == pytest.approx(model.log_probs(tokens), abs=1e-4)


def test_the_file_says_how_much_it_holds_and_so_does_the_command(charlm, models, tmp_path):
    result = charlm("export", models("word"), "--arpa", "m.arpa")

    content = (tmp_path / "m.arpa").read_text()
    counts = re.findall(r"^ngram (\d)=(\d+)$", content, re.MULTILINE)
    assert [order for order, _ in counts] == list("12345")
    assert content.rstrip().endswith("\\end\\")
    said_counts = re.findall(r"([\d,]+) (\d)-grams", result.err)
    assert [(order, count.replace(",", "")) for count, order in said_counts] == counts
    assert result.err.startswith("m.arpa: ")


def test_the_newest_model_is_exported_where_none_is_named(trained, tmp_path):
    assert trained("export", "--arpa", "m.arpa", "--order", 2).status == 0
    assert (tmp_path / "m.arpa").exists()


def test_a_hyphen_is_stdout(charlm, models, tmp_path):
    written = charlm("export", models("word"), "--arpa", "m.arpa", "--order", 2)
    printed = charlm("export", models("word"), "--arpa", "-", "--order", 2)

    assert printed.status == 0
    assert printed.out == (tmp_path / "m.arpa").read_text()
    assert printed.err.count("\n") == 1
    assert printed.err.split(": ")[1] == written.err.split(": ")[1]
    assert os.listdir(tmp_path) == ["m.arpa"]


def test_a_pipe_is_written_to_and_a_link_followed(charlm, models, tmp_path):
    charlm("export", models("word"), "--arpa", "m.arpa", "--order", 1)
    content = (tmp_path / "m.arpa").read_bytes()
    os.mkfifo(tmp_path / "pipe.arpa")
    (tmp_path / "link.arpa").symlink_to("m.arpa")
    (tmp_path / "m.arpa").write_text("old")
    reader = os.open(tmp_path / "pipe.arpa", os.O_RDONLY | os.O_NONBLOCK)

    for name in ("pipe.arpa", "link.arpa"):
        result = charlm("export", models("word"), "--arpa", name, "--order", 1)
        assert (result.status, result.out) == (0, "")

    assert os.read(reader, len(content) + 1) == content
    os.close(reader)
    assert (tmp_path / "pipe.arpa").is_fifo()
    assert (tmp_path / "link.arpa").is_symlink()
    assert (tmp_path / "m.arpa").read_bytes() == content


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["word"], "say what to write: --arpa FILE"),
        (["word", "--arpa", "."], "--arpa needs the name of a file"),
        (["word", "--arpa", ""], "--arpa needs the name of a file"),
        (["word", "--arpa", "word"], "word is a folder; name a file"),
        (["word", "--arpa", "m.arpa.gz"], "would not be packed; write m.arpa, or pipe"),
        (["word", "--arpa", "m.bz2"], "m.bz2 would not be packed"),
        (["word", "--arpa", "m.arpa.xz"], "m.arpa.xz would not be packed"),
        (["word", "--arpa", "m.arpa.zst"], "m.arpa.zst would not be packed"),
        (["word", "--arpa", "m.arpa", "--order", 31], "must be between 1 and 30, not 31"),
        (["word", "--arpa", "none/m.arpa"], "cannot write none/m.arpa"),
        (["nothing", "--arpa", "m.arpa"], "there is no checkpoint nothing"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(charlm, models, tmp_path, arguments, what):
    (tmp_path / "word").symlink_to(models("word"))

    assert what in said(charlm("export", *arguments))
    assert [path.name for path in tmp_path.iterdir()] == ["word"]


def test_a_training_text_that_is_gone_is_one_line(trained, corpus, monkeypatch, tmp_path):
    corpus.unlink()
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "empty"))

    assert "tale.txt does not exist" in said(trained("export", "--arpa", "m.arpa"))
