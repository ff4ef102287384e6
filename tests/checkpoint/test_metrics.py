from charlm.checkpoint import append_metrics, forget_metrics_after, read_metrics


def test_reports_come_back_in_order(tmp_path):
    for step in range(3):
        append_metrics(tmp_path, {"step": step, "loss": step / 2})

    assert [report["loss"] for report in read_metrics(tmp_path)] == [0, 0.5, 1]


def test_a_line_cut_off_by_a_crash_is_left_out(tmp_path):
    append_metrics(tmp_path, {"step": 1})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')

    assert read_metrics(tmp_path) == [{"step": 1}]


def test_a_resumed_run_forgets_the_reports_it_will_make_again(tmp_path):
    for step in range(5):
        append_metrics(tmp_path, {"step": step})

    forget_metrics_after(tmp_path, 2)

    assert [report["step"] for report in read_metrics(tmp_path)] == [0, 1, 2]


def test_without_a_file_there_are_no_reports(tmp_path):
    assert read_metrics(tmp_path) == []
