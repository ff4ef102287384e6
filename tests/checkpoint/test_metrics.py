import json
import resource

import pytest

from charlm.checkpoint import (
    History,
    Report,
    append_metrics,
    forget_metrics_after,
    has_reports,
    read_history,
    read_metrics,
    scan_history,
)
from charlm.errors import CheckpointError, StorageError


def test_reports_come_back_in_order(tmp_path):
    for step in range(3):
        append_metrics(tmp_path, {"step": step, "loss": step / 2})

    assert [report["loss"] for report in read_metrics(tmp_path)] == [0, 0.5, 1]


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path):
    append_metrics(tmp_path, {"step": 1})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')

    assert read_metrics(tmp_path) == [{"step": 1}]


def test_a_report_after_a_line_that_was_cut_off_has_a_line_of_its_own(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2, "lo')

    append_metrics(tmp_path, {"step": 3})

    assert read_metrics(tmp_path) == [{"step": 1}, {"step": 3}]


def test_a_report_that_is_written_in_part_is_taken_back_and_told(tmp_path):
    """As on a full disk; here the size of the file is limited."""
    append_metrics(tmp_path, {"step": 1})
    content = (tmp_path / "metrics.jsonl").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) + 7, limits[1]))
    try:
        with pytest.raises(StorageError, match="disk is full"):
            append_metrics(tmp_path, {"step": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert (tmp_path / "metrics.jsonl").read_bytes() == content


def test_a_resumed_run_forgets_the_reports_it_will_make_again(tmp_path):
    for step in range(5):
        append_metrics(tmp_path, {"step": step})

    forget_metrics_after(tmp_path, 2)

    assert [report["step"] for report in read_metrics(tmp_path)] == [0, 1, 2]


def test_the_validation_at_the_end_of_a_run_that_goes_on_is_forgotten(tmp_path):
    for report in ({"step": 1, "valid_nats": 3.0}, {"step": 2, "loss": 1.0}):
        append_metrics(tmp_path, report)
    append_metrics(tmp_path, {"step": 2, "valid_nats": 2.0})

    forget_metrics_after(tmp_path, 2, is_validated=False)

    assert read_metrics(tmp_path) == [{"step": 1, "valid_nats": 3.0}, {"step": 2, "loss": 1.0}]


def test_without_a_file_there_are_no_reports(tmp_path):
    assert read_metrics(tmp_path) == []


FULL = {
    "step": 3,
    "tokens": 96,
    "seconds": 1.5,
    "loss": 2.25,
    "learning_rate": 0.004,
    "grad_norm": 0.5,
    "tokens_per_second": 64.0,
    "valid_nats": 2.0,
    "valid_nats_raw": 2.1,
    "valid_nats_averaged": 2.0,
}


def test_a_history_has_every_field_of_a_report_by_its_name(tmp_path):
    append_metrics(tmp_path, FULL)
    append_metrics(tmp_path, {"step": 4, "loss": None, "mood": "good"})

    history = read_history(tmp_path)

    assert history == History(tmp_path, (Report(**FULL), Report(step=4)))


def test_a_history_of_nothing_is_empty(tmp_path):
    assert read_history(tmp_path).reports == ()
    (tmp_path / "metrics.jsonl").write_text("")
    history = read_history(tmp_path)

    assert history.reports == ()
    assert (history.best, history.last("loss"), history.tokens_per_second) == (None, None, None)
    assert [len(values) for values in history.series("step", "loss")] == [0, 0]


@pytest.mark.parametrize("part", ["", "{", '{"step": 2, "lo', '{"step": 2}', "\udcff"])
def test_a_last_line_that_is_being_written_is_waited_for(tmp_path, part):
    append_metrics(tmp_path, {"step": 1})
    with (tmp_path / "metrics.jsonl").open("a", errors="surrogateescape") as file:
        file.write(part)

    assert read_history(tmp_path).reports == (Report(step=1),)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "no report with a step"),
        ('{"step": 2, "lo', "no report with a step"),
        ("[" * 100_000, "no report with a step"),
        ("[1]", "no report with a step"),
        ('{"loss": 2.0}', "no report with a step"),
        ("\udcff", "no report with a step"),
        ('{"step": 1.5}', "step is no count"),
        ('{"step": true}', "step is no count"),
        ('{"step": -1}', "step is no count"),
        ('{"step": 2, "loss": "low"}', "loss is no number"),
        ('{"step": 2, "grad_norm": [1]}', "grad_norm is no number"),
        (f'{{"step": 2, "seconds": {10**400}}}', "seconds is no number"),
        ('{"step": 2, "valid_nats": false}', "valid_nats is no number"),
        ('{"step": 2, "valid_nats": 1e300}', "valid_nats is no number"),
        ('{"step": 2, "loss": 1e-300}', "loss is no number"),
        ('{"step": 2, "seconds": -1}', "seconds is no number"),
        ('{"step": 2, "tokens": 1.5}', "tokens is no count"),
    ],
)
def test_a_damaged_line_is_named_by_its_number(tmp_path, line, why):
    append_metrics(tmp_path, {"step": 1})
    path = tmp_path / "metrics.jsonl"
    with path.open("a", errors="surrogateescape") as file:
        file.write(line + "\n")

    with pytest.raises(CheckpointError) as error:
        read_history(tmp_path)

    assert str(error.value) == f"{path}:2 is damaged: {why}; delete the line."


def test_metrics_that_cannot_be_read_are_an_error(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()

    with pytest.raises(CheckpointError, match="cannot be read"):
        read_history(tmp_path)


def test_a_series_has_the_points_where_both_fields_are_finite_numbers(tmp_path):
    nan, inf = float("nan"), float("inf")
    for step, (seconds, loss) in enumerate(
        [(1, 5), (2, None), (None, 4), (3, nan), (4, inf), (5, 3)]
    ):
        append_metrics(tmp_path, {"step": step, "seconds": seconds, "loss": loss})

    x, y = read_history(tmp_path).series("seconds", "loss")

    assert (x.tolist(), y.tolist()) == ([1, 5], [5, 3])


def test_a_history_knows_its_best_validation_its_last_values_and_its_speed(tmp_path):
    reports = [
        Report(step=1, tokens=100, seconds=2.0, loss=3.0),
        Report(step=1, tokens=100, seconds=2.0, valid_nats=2.0),
        Report(step=2, tokens=200, seconds=5.0, valid_nats=1.5),
        Report(step=3, tokens=300, seconds=6.0, valid_nats=1.5),
        Report(step=4, tokens=400, seconds=8.0, valid_nats=float("nan")),
    ]
    history = History(tmp_path, tuple(reports))

    assert history.best == (1.5, 2)
    assert (history.last("step"), history.last("loss")) == (4, 3.0)
    assert history.tokens_per_second == 50


def test_metrics_of_a_real_run_are_read(train):
    folder = train(steps=20, valid_every=10)

    history = read_history(folder)

    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert [report.step for report in history.reports] == [
        json.loads(line)["step"] for line in lines
    ]
    assert history.last("step") == 20 and history.best is not None
    assert len(history.series("tokens", "loss")[0]) == 20


@pytest.mark.parametrize(
    "line",
    [
        '{"step": "2", "loss": 1.0}',
        '{"step": 2, "loss": "low"}',
        '{"step": 2, "valid_nats": {"a": [1]}}',
        '{"step": 2, "valid_nats": [2.0]}',
        '{"step": true}',
        "[" * 100_000,
    ],
)
def test_a_line_with_anything_but_numbers_is_left_out(tmp_path, line):
    append_metrics(tmp_path, {"step": 1})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(line + "\n")
    append_metrics(tmp_path, {"step": 3, "mood": "good"})

    assert read_metrics(tmp_path) == [{"step": 1}, {"step": 3, "mood": "good"}]


def test_a_line_that_is_longer_than_any_report_is_damaged_and_others_are_kept(tmp_path):
    append_metrics(tmp_path, {"step": 1})
    append_metrics(tmp_path, {"step": 2, "x": [0] * 100_000})
    append_metrics(tmp_path, {"step": 3})

    history, damage = scan_history(tmp_path)

    assert [report.step for report in history.reports] == [1, 3]
    assert str(damage).startswith(f"{tmp_path / 'metrics.jsonl'}:2 is damaged")
    forget_metrics_after(tmp_path, 3)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n{"step": 3}\n'


def test_a_file_of_too_many_lines_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("charlm.checkpoint.metrics.MAX_REPORTS", 2)
    for step in range(2):
        append_metrics(tmp_path, {"step": step})
    assert len(read_history(tmp_path).reports) == 2

    append_metrics(tmp_path, {"step": 2})
    with pytest.raises(CheckpointError, match="cannot be read: it has more than 2 lines"):
        read_history(tmp_path)
    assert has_reports(tmp_path)


def test_reports_are_there_where_a_line_is_one(tmp_path):
    assert not has_reports(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"loss": 1.0}\n')
    assert not has_reports(tmp_path)
    append_metrics(tmp_path, {"step": 0})
    assert has_reports(tmp_path)
