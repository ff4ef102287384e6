import json
import sys

import pytest

from charlm.cli.groups import filled, guarded

HOSTILE = "\x1b]0;pwn\x07\x1b[31m"
UNSAFE = set("\x1b\x07\x9b\u202e\x08")


@pytest.fixture
def terminal(charlm, monkeypatch):
    """Run `charlm ARGUMENTS...` as on a terminal without colours."""
    monkeypatch.setenv("TERM", "dumb")

    def run(*arguments):
        with monkeypatch.context() as patch:
            patch.setattr(sys.stdout, "isatty", lambda: True)
            return charlm(*arguments)

    return run


@pytest.fixture
def hostile(charlm, tmp_path):
    """A model that knows control characters, in a folder whose name has some."""
    text = f"the fox\t{HOSTILE} ate\x9b the \u202emoon\x08\n" * 100
    (tmp_path / "tale.txt").write_text(text, encoding="utf-8")
    name = f"a{HOSTILE} [red]:smile:"
    small = ("--hidden-size", 8, "--batch-size", 4, "--bptt", 16, "--steps", 3)
    result = charlm("train", "tale.txt", "-o", tmp_path / name, *small)
    assert result.status == 0, result.err
    assert not UNSAFE & set(result.err) and "[red]:smile:" in result.err
    return tmp_path / name


COMMANDS = [
    ("info",),
    ("info", "--json"),
    ("generate", "-p", f"the{HOSTILE}", "-n", 5, "--greedy"),
    ("generate", "-p", f"the{HOSTILE}", "-n", 5, "--greedy", "--jsonl"),
    ("generate", "-p", f"the{HOSTILE}", "-n", 3, "--greedy", "--show", "alternatives"),
    ("eval",),
    ("eval", "tale.txt"),
    ("score", "tale.txt"),
    ("score", "tale.txt", "--heatmap"),
    ("plot",),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(map(repr, command)))
def test_no_command_sends_control_characters_to_a_terminal(terminal, hostile, command):
    name, *arguments = command

    result = terminal(name, hostile, *arguments)

    assert result.status == 0, result.err
    assert not UNSAFE & set(result.out + result.err)
    assert result.out


def test_into_a_pipe_texts_go_byte_for_byte(charlm, terminal, hostile):
    command = ("generate", hostile, "-p", f"the{HOSTILE}\r\n", "-n", 5, "--greedy")

    piped, shown = charlm(*command), terminal(*command)

    assert piped.out.startswith(f"the{HOSTILE}\r\n")
    assert shown.out.startswith("the\\x1b]0;pwn\\x07\\x1b[31m\n")


def test_scores_in_a_pipe_are_those_of_the_bytes_of_the_text(charlm, hostile):
    rows = charlm("score", hostile, "tale.txt", "--jsonl").out.splitlines()

    text = "".join(json.loads(row)["token"] for row in rows if row)
    assert HOSTILE in text


def test_labels_and_texts_to_classify_are_shown_as_text(charlm, terminal, tmp_path):
    labels = ("good", "bad[red]:smile:")
    rows = [{"label": label, "text": f"the fox {n} ate"} for n in range(60) for label in labels]
    (tmp_path / "moods.jsonl").write_text("\n".join(map(json.dumps, rows)))
    small = ("--hidden-size", 8, "--batch-size", 4, "--bptt", 16, "--steps", 3)
    assert charlm("train", "moods.jsonl", "--label", "both", *small).status == 0

    shown = [
        terminal("classify", "moods", f"the fox{HOSTILE} ate"),
        terminal("info", "moods"),
        terminal("list"),
    ]

    for result in shown:
        assert result.status == 0, result.err
        assert not UNSAFE & set(result.out + result.err)
    assert "the␣fox\\x1b]0;pwn" in shown[0].out
    assert "bad[red]:smile:" in shown[0].out and "bad[red]:smile:" in shown[1].out


@pytest.mark.parametrize(
    "arguments",
    [
        [f"--no{HOSTILE}"],
        ["info", f"--no{HOSTILE}"],
        ["vocab", f"x{HOSTILE}"],
        ["vocab", "show", f"--no{HOSTILE}"],
        ["info", "a", f"b{HOSTILE}"],
        ["generate", "-n", f"x{HOSTILE}"],
        ["info", "--no" + "x" * 10_000],
    ],
    ids=lambda arguments: repr(arguments)[:40],
)
def test_usage_errors_show_what_was_typed_as_text(charlm, arguments):
    result = charlm(*arguments)

    assert result.status == 2
    assert not UNSAFE & set(result.err)
    assert len(result.err) < 2000


@pytest.mark.parametrize(
    "arguments", [["eval", f"x{HOSTILE}"], ["info", f"x{HOSTILE}"], ["train", f"x{HOSTILE}"]]
)
def test_errors_show_names_as_text(charlm, arguments):
    result = charlm(*arguments)

    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "x\\x1b]0;pwn\\x07\\x1b[31m" in result.err
    assert not UNSAFE & set(result.err)


def test_help_is_painted_on_a_terminal(charlm, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    charlm("--version")  # any command, so that its standard output is there to be patched
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    assert "\x1b[1m" in charlm("vocab", "show", "--help").out


def test_a_command_is_guarded_once_however_often_it_is_called():
    once = guarded(print)

    assert guarded(once) is once


def test_a_paragraph_of_help_is_one_line_however_it_is_written():
    assert filled("First\nline.\n\nSecond\n    paragraph.") == "First line.\n\nSecond paragraph."
