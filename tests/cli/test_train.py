import os
import signal
import subprocess
import sys
import time

import pytest

from charlm.training import Learner

SMALL = ("--hidden-size", "16", "--batch-size", "4", "--bptt", "16")


def test_the_road_works_as_written(charlm, corpus):
    trained = charlm("train", corpus, *SMALL, "--steps", 30)
    evaluated = charlm("eval", "--perplexity")
    generated = charlm("generate", "--beam", 5, "-n", 20)

    assert (trained.status, evaluated.status, generated.status) == (0, 0, 0)
    assert trained.out == ""
    assert float(evaluated.out) > 1
    assert len(generated.out) > 1 and evaluated.err == generated.err == ""


def test_off_a_terminal_progress_is_plain_lines(charlm, corpus):
    lines = charlm("train", corpus, *SMALL, "--steps", 30, "--valid-every", 10).err.splitlines()

    assert lines[0].startswith("checkpoints/tale: 1 x 16 lstm, ")
    assert "30 steps of 4 x 16 tokens" in lines[1]
    assert [line.split()[1] for line in lines if line.startswith("step")] == [
        "10/30",
        "20/30",
        "30/30",
    ]
    assert lines[-2].startswith("best: ")
    assert "charlm generate" in lines[-1]


def test_a_second_run_takes_a_new_name(charlm, corpus, tmp_path):
    for _ in range(2):
        charlm("train", corpus, *SMALL, "--steps", 2)

    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"tale", "tale-2"}


def test_the_time_budget_makes_a_plan(charlm, corpus, monkeypatch):
    monkeypatch.setattr("charlm.training.measure.MEASURE_SECONDS", 0.1)

    result = charlm("train", corpus, "--time", "8s", "--hidden-size", 16, "--split", "90/10/0")

    assert result.status == 0
    assert "until about" in result.err or "epochs are all" in result.err


def test_standard_input_is_a_corpus(tmp_path, corpus):
    command = [sys.executable, "-m", "charlm", "train", "-", *SMALL, "--steps", "3"]
    environment = {**os.environ, "CHARLM_CACHE": str(tmp_path / "cache")}

    with corpus.open("rb") as text:
        subprocess.run(command, cwd=tmp_path, stdin=text, check=True, env=environment)
    evaluate = [sys.executable, "-m", "charlm", "eval", "stdin", "--perplexity"]
    done = subprocess.run(
        evaluate, cwd=tmp_path, check=True, capture_output=True, text=True, env=environment
    )

    assert float(done.stdout) > 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_its_work_and_says_how_to_go_on(tmp_path, corpus, charlm, number):
    command = [sys.executable, "-m", "charlm", "train", str(corpus), *SMALL, "--steps", "100000"]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "checkpoints" / "tale" / "metrics.jsonl"
    while not (metrics.exists() and metrics.stat().st_size):
        assert running.poll() is None
        time.sleep(0.05)

    running.send_signal(number)
    _, err = running.communicate(timeout=60)

    assert running.returncode == 130
    assert "interrupted at step" in err
    assert "`charlm train --resume -o checkpoints/tale`" in err
    assert "Traceback" not in err
    assert charlm("eval", "--perplexity").status == 0


def test_resume_goes_on_to_the_planned_end(charlm, corpus, tmp_path, monkeypatch):
    charlm("train", corpus, *SMALL, "--steps", 20, "-o", "whole")
    take, taken = Learner.advance, []

    def interrupt_at_step_8(learner):
        taken.append(True)
        if len(taken) == 8:
            signal.raise_signal(signal.SIGINT)
        return take(learner)

    monkeypatch.setattr(Learner, "advance", interrupt_at_step_8)
    stopped = charlm("train", corpus, *SMALL, "--steps", 20)
    resumed = charlm("train", corpus, "--resume")

    assert (stopped.status, resumed.status) == (130, 0)
    assert "interrupted at step 8" in stopped.err
    weights = "model.safetensors"
    finished = tmp_path / "checkpoints" / "tale" / weights
    assert finished.read_bytes() == (tmp_path / "whole" / weights).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--steps", 3, "--time", "5m"], "exclude each other"),
        (["--level", "byte", "--vocab-size", 9], "no effect at --level byte"),
        (["--lowercase"], "--lowercase has no effect at --level char"),
        (["--split", "90/10"], "--split must look like 90/5/5"),
        (["--split", "90/20/0"], "sum 100, not 110"),
        (["--split", "90/10/0", "--valid", "x"], "no effect beside --valid"),
        (["--clip-norm", 1, "--clip-value", 1], "exclude each other"),
        (["--dropout", 1.5], r"dropout must be in [0, 1)"),
        (["--hidden-size", 0], "hidden_size must be a whole number of at least 1"),
        (["--learning-rate", -1], "learning_rate must be above 0"),
        (["--steps", 2, "--bptt", 1000000], "too few for a window"),
        (["--device", "cuda"], "no cuda device"),
        (["--recipe", "none.toml"], "none.toml does not exist"),
        (["--resume", "--hidden-size", 8], "--hidden-size has no effect with --resume"),
        (["--resume"], "no run on"),
        (["--seed", 3, "--time", "soon"], "--time must look like"),
        (["-o", "/dev/null/x", "--steps", 1], "cannot write /dev/null"),
    ],
)
def test_mistakes_are_one_line_and_status_1(charlm, corpus, arguments, said, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    result = charlm("train", corpus, *arguments)

    assert result.status == 1
    assert said in result.err
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1


def test_a_run_is_resumed_on_its_own_texts_only(charlm, corpus, tmp_path, monkeypatch):
    (tmp_path / "other.txt").write_text(corpus.read_text())
    take = Learner.advance

    def interrupt(learner):
        signal.raise_signal(signal.SIGINT)
        return take(learner)

    monkeypatch.setattr(Learner, "advance", interrupt)
    charlm("train", corpus, *SMALL, "--steps", 20, "-o", "run")

    result = charlm("train", "other.txt", "--resume", "-o", "run")

    assert (result.status, result.err.count("\n")) == (1, 1)
    assert f"run was trained on {corpus}; leave the texts out." in result.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"aaaaaaaaaaaaaaaaaaaaaaa", "nothing but 'a'"),
        (b"a caf\xe9", "not UTF-8 at byte 5 (0xe9)"),
        (b"abc", "too few for a window"),
    ],
)
def test_texts_that_cannot_be_learnt_are_one_line(charlm, tmp_path, content, said):
    (tmp_path / "bad.txt").write_bytes(content)

    result = charlm("train", "bad.txt", "--steps", 2)

    assert (result.status, result.err.count("\n")) == (1, 1)
    assert said in result.err
    assert not (tmp_path / "checkpoints").exists()


def test_a_folder_is_not_a_text(charlm, tmp_path):
    result = charlm("train", tmp_path)

    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "is a folder" in result.err
