import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pexpect
import pytest

from charlm.checkpoint import read_metrics
from charlm.location import LEVEL_STATE
from charlm.training import Learner
from charlm.training.saved_state import load_saved

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
    assert lines[-3].startswith("best: ")
    assert lines[-2].startswith("validation is no worse than training: ")
    assert "charlm generate" in lines[-1]


def test_the_end_says_how_much_text_is_kept(charlm, corpus, tmp_path):
    small = (*SMALL, "--steps", 2)
    kept = charlm("train", corpus, *small).err.splitlines()[-1]
    private = charlm("train", corpus, *small, "--no-keep-text").err.splitlines()[-1]

    files = (tmp_path / "checkpoints" / "tale" / "heldout").iterdir()
    size = sum(path.stat().st_size for path in files)
    assert kept.startswith(f"kept in checkpoints/tale with its held-out text ({size:,} bytes); ")
    assert private.startswith("kept in checkpoints/tale-2; ")


def test_a_second_run_takes_a_new_name(charlm, corpus, tmp_path):
    for _ in range(2):
        charlm("train", corpus, *SMALL, "--steps", 2)

    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"tale", "tale-2"}


def test_the_time_budget_makes_a_plan(charlm, corpus, monkeypatch):
    monkeypatch.setattr("charlm.training.measure.MAX_SECONDS", 0.1)

    result = charlm("train", corpus, "--time", "8s", "--hidden-size", 16, "--split", "90/10/0")

    assert result.status == 0
    assert "until about" in result.err or "epochs are as often" in result.err


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


def interrupt_at(step, monkeypatch):
    """Send SIGINT while the step of this number is taken, counted over all runs of the test."""
    take, taken = Learner.take_steps, []

    def take_steps(learner, count):
        taken.append(True)
        if len(taken) == step:
            signal.raise_signal(signal.SIGINT)
        return take(learner, count)

    monkeypatch.setattr(Learner, "take_steps", take_steps)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_keeps_its_work_and_says_how_to_go_on(tmp_path, corpus, charlm, number):
    command = [sys.executable, "-m", "charlm", "train", str(corpus), *SMALL, "--steps", "100000"]
    running = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "checkpoints" / "tale" / "metrics.jsonl"
    while not (metrics.exists() and metrics.stat().st_size):
        assert running.poll() is None
        time.sleep(0.05)

    running.send_signal(number)
    _, err = running.communicate(timeout=600)

    assert running.returncode == 130
    assert "interrupted at step" in err
    assert "`charlm train --resume -o checkpoints/tale`" in err
    assert "Traceback" not in err
    assert charlm("eval", "--perplexity").status == 0


def test_closing_the_terminal_keeps_the_work(tmp_path, corpus, charlm):
    arguments = ["-m", "charlm", "train", str(corpus), *SMALL, "--steps", "100000"]
    running = pexpect.spawn(sys.executable, arguments, cwd=str(tmp_path), timeout=600)
    running.expect("loss")  # a step has been taken

    os.close(running.child_fd)  # the terminal hangs up
    running.child_fd = -1
    _, status = os.waitpid(running.pid, 0)

    assert os.waitstatus_to_exitcode(status) == 130
    folder = tmp_path / "checkpoints" / "tale"
    assert load_saved(folder).progress.step > 0
    assert list(folder.rglob("*.tmp")) == []


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_an_ignored_signal_stays_ignored(tmp_path, corpus, name):
    """As SIGHUP is under nohup, and SIGINT in the background of a script."""
    watched = f"import signal; signal.signal(signal.{name}, signal.SIG_IGN); "
    watched += "from charlm.training import Learner; take = Learner.take_steps; "
    watched += "Learner.take_steps = lambda *a: signal.raise_signal(signal.NAME) or take(*a); "
    watched = watched.replace("NAME", name)
    watched += "from charlm.cli.app import main; main()"
    command = [sys.executable, "-c", watched, "train", str(corpus), *SMALL, "--steps", "3"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "3/3" in done.stderr


def test_a_reader_of_the_progress_that_leaves_costs_no_work(tmp_path, corpus):
    command = [sys.executable, "-m", "charlm", "train", str(corpus), *SMALL, "--steps", "100000"]
    more = ("--valid-every", "10")
    running = subprocess.Popen([*command, *more], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while "step 10/" not in running.stderr.readline():
        pass

    running.stderr.close()

    assert running.wait() == 130
    saved = load_saved(tmp_path / "checkpoints" / "tale").progress.step
    assert saved == last_step(tmp_path / "checkpoints" / "tale") > 0


def last_step(folder):
    return read_metrics(folder)[-1]["step"]


@pytest.mark.parametrize("named", ["checkpoints/tale", "tale"])
def test_a_checkpoint_in_place_of_a_text_is_the_run_to_resume(
    charlm, corpus, monkeypatch, tmp_path, named
):
    interrupt_at(8, monkeypatch)
    charlm("train", corpus, *SMALL, "--steps", 20)
    (tmp_path / "checkpoints" / "tale").rename(tmp_path / "kept")
    charlm("train", corpus, *SMALL, "--steps", 20)
    (tmp_path / "checkpoints" / "tale").rename(tmp_path / "checkpoints" / "newer")
    (tmp_path / "kept").rename(tmp_path / "checkpoints" / "tale")

    resumed = charlm("train", "--resume", named)

    assert resumed.status == 0, resumed.err
    assert "checkpoints/tale" in resumed.err
    again = charlm("train", "--resume", named)
    assert (again.status, again.err.count("\n")) == (1, 1)
    assert "checkpoints/tale is finished, at step 20 of 20" in again.err


def test_resume_goes_on_to_the_planned_end(charlm, corpus, tmp_path, monkeypatch):
    charlm("train", corpus, *SMALL, "--steps", 20, "-o", "whole")
    interrupt_at(8, monkeypatch)
    stopped = charlm("train", corpus, *SMALL, "--steps", 20)
    resumed = charlm("train", corpus, "--resume")

    assert (stopped.status, resumed.status) == (130, 0)
    assert "interrupted at step 8" in stopped.err
    weights = "model.safetensors"
    finished = tmp_path / "checkpoints" / "tale" / weights
    assert finished.read_bytes() == (tmp_path / "whole" / weights).read_bytes()


def test_resume_with_a_text_goes_on_with_the_run_on_that_text(charlm, corpus, tmp_path, tale):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "tale.txt").write_text(tale)
    charlm("train", corpus, *SMALL, "--steps", 2, "-o", "checkpoints/first")
    charlm("train", "other/tale.txt", *SMALL, "--steps", 2)  # named after its text

    found = charlm("train", "tale.txt", "--resume")
    namesake = charlm("train", "other/tale.txt", "--resume")
    missing = charlm("train", "other.txt", "--resume")

    assert "checkpoints/first is finished" in found.err
    assert "checkpoints/tale is finished" in namesake.err
    assert (missing.status, missing.err.count("\n")) == (1, 1)
    assert "no run on other.txt in checkpoints/" in missing.err


def test_a_finished_run_is_made_longer(charlm, corpus, tmp_path):
    settings = (*SMALL, "--schedule", "constant", "--warmup-steps", 1, "--valid-every", 5)
    shape = (*settings, "--dropout", 0.1)
    charlm("train", corpus, *shape, "--steps", 20, "-o", "whole")
    charlm("train", corpus, *shape, "--steps", 10)

    longer = charlm("train", "--resume", "--steps", 20)
    again = charlm("train", "--resume", "--steps", 20)
    more = charlm("train", "--resume", "checkpoints/tale", "--epochs", 0.5)

    assert longer.status == 0, longer.err
    assert "10 steps become 20, going on from step 8, as if" in " ".join(longer.err.split())
    assert (again.status, again.err.count("\n")) == (1, 1)
    assert "is finished, at step 20 of 20; to train longer, resume with more" in again.err
    assert "20 steps become" in more.err
    ours, theirs = tmp_path / "checkpoints" / "tale", tmp_path / "whole"
    assert [r for r in read_metrics(theirs) if "valid_nats" in r][:2]
    states = [load_saved(folder, LEVEL_STATE) for folder in (ours, theirs)]
    assert states[1].progress.step == 15


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
        (["--seed", 3, "--time", "soon"], "--time must be a duration"),
        (["-o", "/dev/null/x", "--steps", 1], "cannot write /dev/null"),
        (["--softmax", "full", "--softmax-cutoffs", "5,9"], "no effect on a full softmax"),
        (["--softmax-cutoffs", "many"], "must look like 1000,4000, not 'many'"),
        (["--softmax-cutoffs", "9,5"], "softmax_cutoffs must rise from at least 1"),
        (["--softmax-cutoffs", "5,"], "must look like 1000,4000, not '5,'"),
        (["--mogrifier-steps", 2, "--cell", "gru"], "mogrifier_steps are for cell lstm"),
        (["--mogrifier-steps", -1], "mogrifier_steps must be a whole number of 0 or more"),
        (["--hidden-dropout", 0.1], "hidden_dropout has no effect on a single layer"),
        (["--last-hidden-size", 8], "last_hidden_size has no effect on a single layer"),
        (["--weight-dropout", 1], "weight_dropout must be in [0, 1)"),
        (["--embedding-dropout", -0.5], "embedding_dropout must be in [0, 1)"),
        (["--input-dropout", "nan"], "input_dropout must be in [0, 1)"),
        (["--activation-penalty", -1], "activation_penalty must be 0 or more"),
        (["--accumulation-steps", 0], "accumulation_steps must be at least 1"),
        (
            ["--decay-share", 0.1, "--schedule", "cosine"],
            "--decay-share has no effect with --schedule cosine",
        ),
        (["--plateau-factor", 2], "--plateau-factor has no effect with --schedule constant"),
        (["--average-decay", 0.9], "--average-decay has no effect with --averaging none"),
        (["--averaging", "ema", "--average-share", 0.5], "--average-share has no effect"),
        (["--trigger-interval", 3], "--trigger-interval has no effect with --averaging none"),
        (
            ["--frame", "paragraph", "--independent-frames", "--partial-shuffle"],
            "--partial-shuffle has no effect with --independent-frames",
        ),
        (["--patience", 2, "--split", "100/0/0"], "--patience has no effect"),
        (["--resume", "--plan"], "--plan has no effect with --resume"),
        (["--resume", "--steps", 9, "--seed", 2], "--seed has no effect with --resume"),
        (["--plan", "--steps", 3, "--epochs", 2], "exclude each other"),
        (["--plan", "--dropout", 1.5], "dropout must be in [0, 1)"),
        (["--plan", "--recipe", "none.toml"], "none.toml does not exist"),
    ],
)
def test_mistakes_are_one_line_and_status_1(charlm, corpus, arguments, said, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    result = charlm("train", corpus, *arguments)

    assert result.status == 1
    assert said in result.err
    assert result.err.startswith("error: ")
    assert result.err.count("\n") == 1
    assert not list(corpus.parent.glob("checkpoints/*"))


def test_a_recipe_of_bfloat16_trains_in_float32_where_there_is_none(
    charlm, corpus, tmp_path, monkeypatch
):
    monkeypatch.setattr("charlm.training.precision.bfloat16_support", lambda device: False)
    (tmp_path / "recipe.toml").write_text('[training]\nprecision = "bfloat16"\n')
    arguments = ("train", corpus, *SMALL, "--steps", 2, "--recipe", "recipe.toml")

    trained = charlm(*arguments, "-o", "run")
    typed = charlm(*arguments, "--precision", "bfloat16", "-o", "refused")

    assert trained.status == 0
    assert "the recipe asks for bfloat16, but this processor does not" in trained.err
    assert 'precision = "float32"' in (tmp_path / "run" / "recipe.toml").read_text()
    assert (typed.status, typed.err.count("\n")) == (1, 1)
    assert "error: --precision bfloat16 cannot be used: this processor" in typed.err
    assert not (tmp_path / "refused").exists()


def test_a_run_is_resumed_on_its_own_texts_only(charlm, corpus, tmp_path, monkeypatch):
    (tmp_path / "other.txt").write_text(corpus.read_text())
    take = Learner.take_steps

    def interrupt(learner, count):
        signal.raise_signal(signal.SIGINT)
        return take(learner, count)

    monkeypatch.setattr(Learner, "take_steps", interrupt)
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


def test_a_run_on_a_folder_is_resumed_by_the_folder(charlm, tale):
    Path("letters").mkdir()
    for name in ("a.txt", "b.txt"):
        Path("letters", name).write_text(tale)
    charlm("train", "letters", *SMALL, "--steps", 4)
    charlm("train", "letters/a.txt", *SMALL, "--steps", 4, "-o", "checkpoints/newer")

    longer = charlm("train", "--resume", "letters/", "--steps", 8)
    other = charlm("train", "--resume", "letters/", "-o", "checkpoints/newer", "--steps", 8)

    assert longer.status == 0, longer.err
    assert load_saved(Path("checkpoints/letters")).progress.step == 8
    assert "was trained on letters/a.txt" in other.err


def test_a_folder_without_texts_is_not_a_text(charlm, tmp_path):
    result = charlm("train", tmp_path)

    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "holds no text files" in result.err


def everything_in(folder):
    return sorted(folder.rglob("*"))


def planned_fields(out):
    """What `--plan` shows, by the names in its first column."""
    lines = [line.strip().split("  ", 1) for line in out.splitlines()]
    return {line[0]: line[1].strip() for line in lines if len(line) == 2}


def test_plan_shows_what_would_be_trained_and_does_nothing(charlm, corpus, tmp_path):
    before = everything_in(tmp_path)

    dropouts = ("--dropout", 0.3, "--weight-dropout", 0.1)

    result = charlm("train", corpus, *SMALL, *dropouts, "--steps", 30, "--plan")

    assert result.status == 0 and result.err == ""
    assert everything_in(tmp_path) == before
    fields = planned_fields(result.out)
    assert fields["model"].startswith("1 x 16 lstm, embeddings of 16 (tied), full softmax over ")
    assert "MiB" in fields["memory"]
    assert fields["steps"] == "30 of 4 x 16 tokens in float32: as asked"
    assert {"parameters", "epochs", "optimiser"} <= fields.keys()
    assert "dropout 0.3, weight dropout 0.1" in result.out
    assert "end" not in fields


def test_plan_within_a_time_says_when_it_would_end_and_why(charlm, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr("charlm.training.measure.MAX_SECONDS", 0.05)
    before = everything_in(tmp_path)

    result = charlm("train", corpus, "--hidden-size", 16, "--time", "20s", "--plan")

    assert result.status == 0
    assert everything_in(tmp_path) == before
    end = planned_fields(result.out)["end"]
    assert end.startswith("about ") and end.endswith(", if begun now")
    assert "ms a step" in result.out or "epochs are as often" in result.out


def test_plan_counts_the_parameters_that_training_would_have(charlm, corpus):
    shape = (*SMALL, "--num-layers", 2, "--last-hidden-size", 8, "--mogrifier-steps", 2)

    planned = charlm("train", corpus, *shape, "--steps", 2, "--plan")
    trained = charlm("train", corpus, *shape, "--steps", 2)

    assert f" {planned_fields(planned.out)['parameters']} parameters" in trained.err


def test_plan_goes_by_a_recipe_and_by_flags_that_win_over_it(charlm, corpus, tmp_path):
    charlm("train", corpus, *SMALL, "--steps", 3, "--optimizer", "sgd", "-o", "run")
    before = everything_in(tmp_path)

    result = charlm("train", "--recipe", "run/recipe.toml", "--steps", 7, "--plan")

    assert result.status == 0
    assert everything_in(tmp_path) == before
    assert "7 of 4 x 16 tokens" in result.out
    assert "sgd, learning rate 5, cosine" in " ".join(result.out.split())


def test_plan_tells_what_should_be_known_of_the_text_beside_it(charlm, corpus):
    corpus.write_bytes(b"\xef\xbb\xbf" + corpus.read_bytes())

    result = charlm("train", corpus, *SMALL, "--steps", 30, "--plan")

    assert "byte-order mark" in result.err and "byte-order mark" not in result.out


def test_every_setting_is_named_by_a_flag_and_kept_in_the_recipe(charlm, corpus, tmp_path):
    settings = {
        "model": {
            "num_layers": 2,
            "last_hidden_size": 8,
            "mogrifier_steps": 1,
            "dropout": 0.11,
            "hidden_dropout": 0.12,
            "input_dropout": 0.13,
            "embedding_dropout": 0.14,
            "weight_dropout": 0.15,
        },
        "training": {
            "activation_penalty": 2.0,
            "temporal_activation_penalty": 1.5,
            "weight_decay": 0.02,
            "accumulation_steps": 2,
            "optimizer": "sgd",
            "learning_rate": 0.5,
            "schedule": "plateau",
            "plateau_factor": 3.0,
            "averaging": "triggered",
            "trigger_interval": 1,
            "clip_value": 0.3,
            "patience": 2,
            "valid_every": 1,
            "precision": "float32",
            "seed": 12,
        },
    }
    flags = [
        part
        for section in settings.values()
        for name, value in section.items()
        for part in (f"--{name.replace('_', '-')}", value)
    ]

    result = charlm(
        "train",
        corpus,
        *SMALL,
        "--steps",
        3,
        "--variable-bptt",
        "--partial-shuffle",
        *flags,
        "-o",
        "run",
    )

    assert result.status == 0, result.err
    kept = tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())
    for section, given in settings.items():
        assert {name: kept[section][name] for name in given} == given
    assert kept["training"]["variable_bptt"] and kept["training"]["partial_shuffle"]
    assert "clip_norm" not in kept["training"]


def test_words_get_the_adaptive_softmax_that_cutoffs_ask_for(charlm, corpus, tmp_path):
    words = ("--level", "word", "--softmax-cutoffs", "20,100")

    planned = charlm("train", corpus, *SMALL, *words, "--steps", 3, "--plan")
    trained = charlm("train", corpus, *SMALL, *words, "--steps", 3, "-o", "run")

    assert "adaptive softmax" in planned.out
    assert trained.status == 0, trained.err
    kept = tomllib.loads((tmp_path / "run" / "recipe.toml").read_text())["model"]
    assert (kept["softmax"], kept["softmax_cutoffs"]) == ("adaptive", [20, 100])


@pytest.mark.parametrize(
    "shape",
    [
        ("--mogrifier-steps", 3),
        ("--mogrifier-steps", 2, "--num-layers", 2),
        ("--num-layers", 2, "--last-hidden-size", 8),
    ],
    ids=str,
)
def test_models_of_other_shapes_train_score_and_write(charlm, corpus, shape):
    trained = charlm("train", corpus, *SMALL, *shape, "--steps", 10)
    evaluated = charlm("eval", "--perplexity")
    generated = charlm("generate", "--min-new-tokens", 5, "--max-new-tokens", 20)

    assert (trained.status, evaluated.status, generated.status) == (0, 0, 0)
    assert float(evaluated.out) > 1 and len(generated.out) > 1


@pytest.mark.parametrize(
    ("split", "said"), [("90/10/0", "the text has more to teach"), ("100/0/0", None)]
)
def test_the_end_says_what_the_run_was_where_something_was_held_out(charlm, corpus, split, said):
    result = charlm("train", corpus, *SMALL, "--steps", 20, "--split", split)

    assert ("to do better" in result.err) == (said is not None)
    assert said is None or said in result.err


def test_a_run_begins_with_vectors_of_a_file_and_says_how_many(charlm, corpus, tmp_path):
    (tmp_path / "vectors.txt").write_text("the" + " 0.5" * 6 + "\n")
    settings = ("--level", "word", "--embeddings", "vectors.txt", "--steps", 3)

    trained = charlm("train", corpus, *SMALL, *settings, "--freeze-embeddings")
    wrong = charlm("train", corpus, *SMALL, *settings, "--embedding-size", 5)

    assert trained.status == 0
    assert "symbols begin with a vector of the file" in trained.err
    assert (wrong.status, wrong.err.count("\n")) == (1, 1)
    assert "are 6 wide, not --embedding-size 5" in wrong.err


def test_a_bare_number_is_minutes_and_is_said_to_be(charlm, corpus):
    bare, unit = (charlm("train", corpus, "--time", time, "--plan") for time in ("5", "5min"))

    assert bare.status == unit.status == 0
    assert "--time 5 is 5 minutes: a bare number is minutes." in bare.err
    assert "bare number" not in unit.err


def test_a_folder_of_texts_is_a_corpus_named_after_it(charlm, tmp_path, tale):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text(tale[:4000], encoding="utf-8")
    (tmp_path / "letters" / "b.txt").write_text(tale[4000:], encoding="utf-8")
    small = ("--hidden-size", 16, "--batch-size", 4, "--bptt", 16)

    trained = charlm("train", "letters/", *small, "--steps", 3)
    measured = charlm("eval", "--split", "valid", "--perplexity")

    assert trained.status == 0, trained.err
    assert (tmp_path / "checkpoints" / "letters" / "config.json").exists()
    assert measured.status == 0, measured.err
