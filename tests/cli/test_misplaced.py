"""A text where a file or a checkpoint belongs is answered with the command that works."""

import io
import shlex
import shutil
import sys

import pytest

TEXT = 'It\'s $5; the "fox" ate.'


@pytest.mark.parametrize(
    "arguments",
    [
        ("score", TEXT),
        ("score", "tale", TEXT),
        ("score", "--by", "word", TEXT),
        ("eval", "tale", TEXT, "--json"),
        ("eval", "--text", TEXT, "tale"),
        ("eval", f"--text={TEXT}", "tale"),
    ],
)
def test_a_text_in_place_of_a_file_is_answered_with_a_pipe(trained, monkeypatch, arguments):
    result = trained(*arguments)

    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    command = result.err.partition("run: ")[2].strip()
    words = shlex.split(command)
    pipe = words.index("|")
    assert words[:pipe] == ["echo", TEXT]
    assert words[pipe + 1] == "charlm"

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{TEXT}\n".encode()), "utf-8"))
    assert trained(*words[pipe + 2 :]).status == 0


@pytest.mark.parametrize("command", ["generate", "play"])
@pytest.mark.parametrize("text", ["Once upon", "Once"])
def test_a_text_in_place_of_a_checkpoint_is_answered_with_a_prompt(trained, command, text, stdin):
    result = trained(command, text, "--temperature", "0.5")

    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    words = shlex.split(result.err.partition("run: ")[2])
    assert words == ["charlm", command, "--prompt", text, "--temperature", "0.5"]
    stdin(b"")
    assert trained(*words[1:]).out.startswith(text)


@pytest.mark.parametrize("command", ["generate", "play"])
@pytest.mark.parametrize(
    ("words", "prompt"),
    [(("tale", "The fox"), "The fox"), (("tale", "The", "fox"), "The fox"), (("A", "a"), "A a")],
)
def test_words_after_a_checkpoint_are_answered_with_a_prompt(
    trained, command, words, prompt, stdin
):
    result = trained(command, *words, "--temperature", "0.5")

    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    advised = shlex.split(result.err.partition("run: ")[2])
    named = [word for word in words if word == "tale"]
    assert advised == ["charlm", command, *named, "--prompt", prompt, "--temperature", "0.5"]
    stdin(b"")
    assert trained(*advised[1:]).out.startswith(prompt)


def test_words_beside_a_prompt_are_an_error(trained):
    result = trained("generate", "tale", "fox", "--prompt", "The")

    assert (result.status, result.out) == (1, "")
    assert "unexpected argument 'fox'; the prompt is given already" in result.err


@pytest.mark.parametrize("text", ["The  fox ate.", "The fox\nate.", "The fox\x1bate."])
@pytest.mark.parametrize("command", ["score", "eval", "generate"])
def test_what_a_line_cannot_show_is_read_from_a_file(trained, command, text):
    result = trained(command, text)

    assert result.status == 1
    assert ("cat FILE | charlm" in result.err) or ("--prompt @FILE" in result.err)


def test_several_texts_are_answered_with_files(trained):
    for texts in ((TEXT, "The fox."), ("-", TEXT)):
        result = trained("eval", *texts)

        assert result.status == 1
        assert "several texts, write them into files" in result.err


@pytest.mark.parametrize("name", ["my novel.txt", "texts/my novel", "my novel.TXT.gz"])
def test_a_mistyped_name_with_a_space_is_a_missing_file(trained, name):
    for arguments in (("score", "tale", name), ("eval", "tale", name), ("eval", "--text", name)):
        result = trained(*arguments)

        assert result.status == 1
        assert f"{name} does not exist; name a text file" in result.err


def test_a_checkpoint_whose_name_has_a_space_is_one(trained, tmp_path):
    (tmp_path / "checkpoints" / "tale").rename(tmp_path / "checkpoints" / "a [b] c")

    assert trained("eval", "a [b] c", "--perplexity").status == 0


def test_a_missing_file_is_no_text(trained):
    assert "run:" not in trained("generate", "checkpoints/nowhere").err
    assert "run:" not in trained("score", "missing.txt").err
    assert "run:" not in trained("generate", "nowhere", "-p", "The").err


def test_a_file_whose_name_has_spaces_is_a_file(trained, tmp_path):
    (tmp_path / "my text.txt").write_text("The fox.", encoding="utf-8")

    assert trained("eval", "my text.txt", "--perplexity").status == 0


@pytest.mark.parametrize("command", ["score", "eval", "generate"])
def test_a_long_text_is_not_repeated(trained, command):
    result = trained(command, "The fox ate the moon. " * 50)

    assert result.status == 1
    assert len(result.err) < 300
    assert ("cat FILE | charlm" in result.err) or ("--prompt @FILE" in result.err)


def test_texts_of_a_folder_are_measured_and_scored(trained, tmp_path):
    (tmp_path / "letters").mkdir()
    for name in ("b.txt", "a.txt"):
        (tmp_path / "letters" / name).write_text("The fox.", encoding="utf-8")

    measured = trained("eval", "tale", "letters")
    scored = trained("score", "letters", "--by", "sentence")

    assert measured.status == scored.status == 0
    assert measured.out.index("letters/a.txt") < measured.out.index("letters/b.txt")
    assert [line.split("\t")[-1] for line in scored.out.splitlines()[1:]] == [
        "letters/a.txt",
        "letters/b.txt",
    ]


def test_a_folder_of_texts_goes_before_the_checkpoint_that_it_made(trained, tmp_path, tale):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text(tale[:2000], encoding="utf-8")
    small = ("--hidden-size", 8, "--batch-size", 2, "--bptt", 8, "--steps", 2)
    assert trained("train", "letters", *small).status == 0

    measured = trained("eval", "letters")
    scored = trained("score", "letters", "--by", "sentence")
    shown = trained("vocab", "show", "letters")

    assert "checkpoints/letters on letters/a.txt" in measured.out
    assert "the checkpoint is checkpoints/letters" in measured.err
    assert scored.status == 0 and "share" in shown.out
    assert "checkpoints/letters on" in trained("eval", "checkpoints/letters").out

    shutil.rmtree("letters")
    assert "letters on its test split" in trained("eval", "letters").out


@pytest.mark.parametrize(
    "arguments",
    [
        ("eval", "corpus.txt", "tale"),
        ("score", "tale", "checkpoints/tale"),
        ("vocab", "build", "checkpoints/tale", "-o", "t.json"),
        ("train", "corpus.txt", "checkpoints/tale"),
    ],
)
def test_a_checkpoint_is_not_read_as_a_folder_of_texts(trained, tmp_path, tale, arguments):
    (tmp_path / "corpus.txt").write_text(tale, encoding="utf-8")

    result = trained(*arguments)

    assert (result.status, result.out) == (1, "")
    assert "tale is a checkpoint" in result.err or "tale does not exist" in result.err
