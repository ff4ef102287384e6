import os
import signal
import subprocess
import sys
import warnings

import pytest

from charlm.cli.app import warnings_as_notes
from charlm.data.cache import token_folder

WATCHED = """
import sys
sys.argv = ["charlm", *sys.argv[1:]]
from charlm.cli.app import main
try:
    main()
except SystemExit as end:
    status = end.code or 0
else:
    status = 0
print(f"status {status} torch {'torch' in sys.modules}", file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ([], 2),
        (["--help"], 0),
        (["--version"], 0),
        (["train", "--help"], 0),
        (["train", "--no-such-flag"], 2),
        (["generate", "--beam", "x"], 2),
        (["generate", "--logprobs"], 1),
        (["eval", "--split", "valid", "notes.txt"], 1),
        (["vocab", "build", "text.txt", "-o", "t.json", "--level", "word"], 0),
        (["vocab", "show", "text.txt", "--level", "bpe", "--vocab-size", "300"], 0),
        (["vocab", "encode", "-t", "known.json", "a b"], 0),
        (["corpus"], 0),
        (["-h"], 0),
        (["vocab", "show", "-h"], 0),
        (["gen"], 2),
        (["score", "The fox ate."], 1),
        (["generate", "Once upon"], 1),
    ],
)
def test_help_vocab_and_usage_errors_do_not_wait_for_torch(tmp_path, charlm, arguments, status):
    (tmp_path / "text.txt").write_text("a b c a b a\n" * 3)
    (tmp_path / "notes.txt").write_text("a")
    charlm("vocab", "build", "text.txt", "-o", "known.json")

    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr.splitlines()[-1] == f"status {status} torch False"


COMMANDS = ["train", "plot", "generate", "fill", "play", "eval", "score", "classify", "rescore"]
COMMANDS += ["vocab", "vocab build", "vocab show", "vocab encode", "vocab decode"]
COMMANDS += ["info", "list", "corpus", "export", ""]


@pytest.mark.parametrize("command", COMMANDS)
def test_h_is_help(charlm, command):
    short, long = (charlm(*command.split(), flag) for flag in ("-h", "--help"))

    assert (short.status, short.err) == (0, "")
    assert short.out == long.out
    assert "--help" in short.out and "-h" in short.out


def test_commands_are_completed_without_torch(tmp_path):
    environment = {
        "_CHARLM_COMPLETE": "complete_bash",
        "COMP_WORDS": "charlm gen",
        "COMP_CWORD": "1",
    }

    done = subprocess.run(
        [sys.executable, "-c", WATCHED],
        cwd=tmp_path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.split() == ["generate"]
    assert done.stderr.splitlines()[-1] == "status 0 torch False"


def test_completion_can_be_installed(charlm):
    assert "--install-completion" in charlm("--help").out


def test_the_module_is_the_command(tmp_path):
    command = [sys.executable, "-m", "charlm", "--version"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("charlm 0.")


def test_an_error_is_one_line_on_stderr_with_status_1(charlm):
    result = charlm("train", "missing.txt")

    assert result.status == 1
    assert result.out == ""
    assert result.err == "error: missing.txt does not exist; name a text file.\n"


def test_damaged_token_files_are_one_note_and_the_same_figures(trained):
    before = [trained("eval", "--split", part).out for part in ("valid", "test")]
    for path in token_folder().glob("*.tokens"):
        content = path.read_bytes()
        path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])

    after = [trained("eval", "--split", part) for part in ("valid", "test")]

    assert [result.out for result in after] == before
    for result in after:
        assert result.err.count("\n") == 1
        assert "was damaged; it is made again from the text." in result.err
    assert trained("eval").err == ""


def test_other_warnings_are_shown_as_ever(monkeypatch):
    shown = []
    monkeypatch.setattr("warnings.showwarning", lambda message, *where: shown.append(str(message)))

    with warnings_as_notes():
        warnings.simplefilter("always")
        warnings.warn("of torch", UserWarning, stacklevel=1)

    assert shown == ["of torch"]


def test_a_full_disk_behind_stdout_is_one_line(trained, tmp_path):
    command = f"{sys.executable} -m charlm generate -n 20 > /dev/full"

    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr == "error: cannot write the result: No space left on device.\n"


@pytest.mark.parametrize("command", ["eval --perplexity", "info --json", "vocab encode The"])
def test_every_result_that_cannot_be_written_is_one_line(trained, tmp_path, command):
    command = f"{sys.executable} -m charlm {command} > /dev/full"

    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "No space left" in done.stderr


def test_a_name_that_is_too_long_is_one_line(charlm):
    result = charlm("eval", "word " * 100)

    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "too long" in result.err


def test_a_reader_that_has_had_enough_is_no_error(charlm, tmp_path):
    command = f"{sys.executable} -m charlm corpus tales | head -c 10"

    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.returncode, len(done.stdout), done.stderr) == (0, 10, "")


@pytest.mark.parametrize("command", ["--version", "info", "no-such-command"])
def test_a_closed_stdout_is_one_line(tmp_path, command):
    command = f"{sys.executable} -m charlm {command} >&-"

    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: standard output is closed")


@pytest.mark.parametrize("moment", ["charlm-*", "charlm-*/*"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_command_that_is_told_to_end_leaves_no_temporary_folder(
    trained, tmp_path, number, status, moment
):
    (tmp_path / "temporary").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "charlm", "eval", "tale", "-"],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
        stdin=subprocess.PIPE,  # a text that does not end
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdin.write(b"the fox")
    process.stdin.flush()
    while process.poll() is None and not any((tmp_path / "temporary").glob(moment)):
        pass

    process.send_signal(number)
    out, err = process.communicate()

    assert (process.returncode, out, err) == (status, b"", b"")
    assert not any((tmp_path / "temporary").glob("charlm-*"))


def test_running_out_of_memory_says_what_to_lower(charlm, corpus, monkeypatch):
    def hungry(*arguments, **settings):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: 1e15 bytes")

    monkeypatch.setattr("charlm.training.learner.Learner.take_steps", hungry)

    result = charlm("train", corpus, "--steps", 3, "--hidden-size", 8)

    assert result.status == 1
    assert "out of memory; lower --batch-size" in result.err
