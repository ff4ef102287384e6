"""`charlm plot` as users meet it."""

import json
import subprocess
import sys
import warnings

import pytest

from charlm.checkpoint import append_metrics

WATCHED = """
import sys
sys.argv = ["charlm", "plot", *sys.argv[1:]]
from charlm.cli.app import main
try:
    main()
finally:
    heavy = [name for name in ("torch", "matplotlib") if name in sys.modules]
    print("imported", heavy, file=sys.stderr)
"""


@pytest.fixture
def run(tmp_path):
    """Make a run in checkpoints/NAME with some reports."""

    def run(name="tale", steps=(1, 2, 3), **fields):
        folder = tmp_path / "checkpoints" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_text("")
        (folder / "metrics.jsonl").write_text("")
        for step in steps:
            report = {"step": step, "tokens": 64 * step, "seconds": step / 2, "loss": 4.0 - step}
            append_metrics(folder, report | fields)
        if steps:
            append_metrics(folder, {"step": steps[-1], "seconds": steps[-1] / 2, "valid_nats": 1.5})
        return folder

    return run


def test_the_newest_run_is_drawn_by_steps_on_stdout(charlm, run):
    run()

    result = charlm("plot")

    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("nats per token")
    assert "steps" in result.out and "A validation" in result.out
    assert result.out.splitlines()[-2].split() == ["tale", "3", "2", "1.5000", "3", "1.0000", "128"]


def test_several_runs_are_drawn_by_seconds_under_their_names(charlm, run, tmp_path):
    run("a")
    run("b")
    run("../elsewhere/b")

    result = charlm("plot", "a", "checkpoints/b", tmp_path / "elsewhere" / "b")

    assert result.status == 0
    assert "seconds of training" in result.out
    assert "A a   B checkpoints/b" in result.out
    assert f"C{tmp_path}/elsewhere/b" in "".join(result.out.split())


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--x", "tokens"], "tokens"),
        (["--x", "seconds"], "seconds of training"),
        (["--y", "grad-norm"], "gradient norm before clipping"),
        (["--y", "learning-rate", "--log", "xy"], "learning rate"),
        (["--y", "tokens-per-second", "--smooth", "2"], "mean of 2 reports"),
    ],
)
def test_flags_choose_what_is_drawn(charlm, run, flags, said):
    run(grad_norm=0.5, learning_rate=0.1, tokens_per_second=9.0)

    assert said in charlm("plot", *flags).out


def test_json_has_the_points_of_every_run(charlm, run):
    run("a")
    run("b", steps=(5,))

    first, second = json.loads(charlm("plot", "a", "b", "--json", "--x", "tokens").out)

    assert first == {
        "checkpoint": "checkpoints/a",
        "steps": 3,
        "tokens": 192,
        "seconds": 1.5,
        "best_validation": {"valid_nats": 1.5, "step": 3},
        "loss": 1.0,
        "tokens_per_second": 128.0,
        "x": "tokens",
        "y": "loss",
        "curves": [
            {
                "name": "training",
                "reports_per_mean": 1,
                "points": [[64, 3.0], [128, 2.0], [192, 1.0]],
            }
        ],
    }
    assert second["steps"] == 5


def test_numbers_that_are_none_are_null_in_json(charlm, run):
    folder = run()
    append_metrics(folder, {"step": 4, "loss": float("nan"), "valid_nats": None})

    (content,) = json.loads(charlm("plot", "--json").out)

    assert content["loss"] is None
    assert len(content["curves"][0]["points"]) == 3


def test_a_run_that_is_being_trained_is_drawn_as_far_as_it_is(charlm, run):
    folder = run()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')

    result = charlm("plot")

    assert (result.status, result.err) == (0, "")


def test_a_damaged_line_is_one_line_with_its_place(charlm, run):
    folder = run()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo\n')

    result = charlm("plot")

    assert (result.status, result.out) == (1, "")
    assert result.err == (
        "error: checkpoints/tale/metrics.jsonl:5 is damaged: no report with a step; delete the "
        "line.\n"
    )


def test_a_damaged_run_is_said_and_others_are_drawn(charlm, run):
    damaged = run("damaged")
    with (damaged / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "loss": "low"}\n')
    run("whole")

    result = charlm("plot", "damaged", "whole")

    assert result.status == 0 and "whole" in result.out
    assert "damaged/metrics.jsonl:5 is damaged: loss is no number" in result.err


@pytest.mark.parametrize("value", [9e44, 1e-240, 0.0, 2**62])
@pytest.mark.parametrize("log", [(), ("--log", "xy")])
def test_figures_of_any_size_are_drawn(charlm, run, value, log):
    run("a", seconds=value, loss=value, tokens_per_second=value)
    run("b")

    result = charlm("plot", "a", "b", *log)

    assert result.status == 0 and "Traceback" not in result.err


def test_a_run_without_figures_is_said_and_others_are_drawn(charlm, run):
    run("empty", steps=())
    run("full")

    alone = charlm("plot", "empty")
    both = charlm("plot", "empty", "full")
    norms = charlm("plot", "full", "--y", "grad-norm")

    assert alone.err == "error: checkpoints/empty has no figures yet.\n"
    assert both.err == "checkpoints/empty has no figures yet.\n"
    assert both.status == 0 and "full" in both.out
    assert norms.err == "error: checkpoints/full has no figures of grad-norm by steps yet.\n"


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--json", "-o", "a.png"], "-o has no effect with --json"),
        (["--json", "--log", "x"], "--log has no effect with --json"),
        (["--json", "--no-zoom"], "--no-zoom has no effect with --json"),
        (["-o", "a.jpeg"], ".png, .svg, .pdf"),
        (["-o", "folder/"], ".png, .svg, .pdf"),
        (["--smooth", "3", "--y", "learning-rate"], "--smooth has no effect"),
        (["missing"], "there is no checkpoint missing"),
    ],
)
def test_what_cannot_be_done_is_one_line(charlm, run, flags, why):
    run(learning_rate=1.0)

    result = charlm("plot", *flags)

    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert why in result.err


@pytest.mark.parametrize("flags", [["--smooth", "0"], ["--x", "days"], ["--log", "z"]])
def test_values_that_do_not_exist_are_wrong_usage(charlm, run, flags):
    run()

    assert charlm("plot", *flags).status == 2


def test_a_figure_is_written_and_nothing_is_printed(charlm, run, tmp_path):
    pytest.importorskip("matplotlib")
    run("a")
    run("b")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = charlm("plot", "a", "b", "-o", "curves.png")

    assert (result.status, result.out, result.err) == (0, "", "")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_a_figure_is_answered_in_one_line(charlm, run, monkeypatch):
    run()
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    result = charlm("plot", "-o", "curves.png")

    assert (result.status, result.err.count("\n")) == (1, 1)
    assert "pip install charlm[plot]" in result.err


@pytest.mark.parametrize(
    ("flags", "imported"),
    [([], "[]"), (["--json"], "[]"), (["--help"], "[]"), (["-o", "a.svg"], "['matplotlib']")],
)
def test_drawing_waits_for_no_library_it_does_not_need(run, tmp_path, flags, imported):
    pytest.importorskip("matplotlib")
    run()

    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *flags],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, f"imported {imported}\n")


def test_control_characters_in_a_name_do_not_reach_the_terminal(charlm, run):
    run("a\x1b[31m")

    result = charlm("plot")

    assert result.status == 0
    assert "\x1b" not in result.out and "a\\x1b[31m" in result.out
