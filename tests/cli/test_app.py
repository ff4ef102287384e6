import os
import signal
import subprocess
import sys

import pytest

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


def test_the_module_is_the_command(tmp_path):
    command = [sys.executable, "-m", "charlm", "--version"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("charlm 0.")


def test_an_error_is_one_line_on_stderr_with_status_1(charlm):
    result = charlm("train", "missing.txt")

    assert result.status == 1
    assert result.out == ""
    assert result.err == "error: missing.txt does not exist; name a text file.\n"


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


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_command_that_is_told_to_end_leaves_no_temporary_folder(
    trained, tmp_path, number, status
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
    while process.poll() is None and not any((tmp_path / "temporary").glob("charlm-*/text")):
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
