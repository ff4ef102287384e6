"""metrics.jsonl: a line a report, from which everything about a run can be drawn."""

import json
from pathlib import Path
from typing import Any

from charlm.location import METRICS
from charlm.storage import storage_errors, write_atomically


def append_metrics(folder: Path, report: dict[str, Any]) -> None:
    """Add a line.

    Raises:
        StorageError: it cannot be written.
    """
    path = folder / METRICS
    with storage_errors(path), path.open("ab", buffering=0) as file:
        file.write((json.dumps(report) + "\n").encode())


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The reports in order; a line that a crash or damage made unreadable is left out."""
    try:
        lines = (folder / METRICS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    reports = []
    for line in lines:
        try:
            report = json.loads(line)
        except ValueError:
            continue
        if isinstance(report, dict) and isinstance(report.get("step"), int):
            reports.append(report)
    return reports


def forget_metrics_after(folder: Path, step: int) -> None:
    """Drop the reports past `step`, which a resumed run makes again.

    Raises:
        StorageError: the file cannot be written.
    """
    kept = [report for report in read_metrics(folder) if report["step"] <= step]
    write_atomically(folder / METRICS, "".join(json.dumps(report) + "\n" for report in kept))
