"""metrics.jsonl: the reports of a training run, one per line."""

import errno
import json
import math
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charlm.errors import CheckpointError
from charlm.location import METRICS
from charlm.storage import replacement, storage_errors
from charlm.untrusted import RefusedFileError, open_regular, parse_json

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """One line: training progress at a step, or the result of a validation; None: not reported."""

    step: int
    tokens: int | None = None  # read so far
    seconds: float | None = None  # training time so far
    loss: float | None = None  # nats per token
    learning_rate: float | None = None
    grad_norm: float | None = None  # before clipping
    tokens_per_second: float | None = None
    valid_nats: float | None = None  # nats per token
    valid_nats_raw: float | None = None  # of the current weights
    valid_nats_averaged: float | None = None  # of the averaged weights
    earlier_nats: float | None = None  # of the weights kept from before the run was extended
    earlier_step: int | None = None  # step of these weights


MAX_REPORTS, MAX_REPORT_BYTES = 1 << 19, 1 << 16  # far more than charlm writes
SMALLEST, LARGEST = 1e-250, 1e45
COUNTS = ("step", "tokens", "earlier_step")
POSITIVE = ("seconds", "learning_rate", "grad_norm", "tokens_per_second")  # 0 or more
NAMES = tuple(field.name for field in fields(Report))


@dataclass(frozen=True, slots=True)
class History:
    """Reports of a run so far, in order."""

    folder: Path
    reports: tuple[Report, ...]

    def series(self, x: str, y: str) -> tuple[Floats, Floats]:
        """Return two fields of the reports in which both are finite, each (num_points,)."""
        pairs = [(getattr(report, x), getattr(report, y)) for report in self.reports]
        points = np.array([pair for pair in pairs if None not in pair], np.float64).reshape(-1, 2)
        points = points[np.isfinite(points).all(axis=1)]
        return points[:, 0], points[:, 1]

    def last(self, name: str) -> Any:
        """Return the last reported value of a field, or None if it was never reported."""
        values = (getattr(report, name) for report in reversed(self.reports))
        return next((value for value in values if value is not None), None)

    @property
    def best(self) -> tuple[float, int] | None:
        """Lowest validation loss, in nats per token, and its step; None without validations."""
        steps, nats = self.series("step", "valid_nats")
        return min(zip(nats.tolist(), map(int, steps), strict=True), default=None)

    @property
    def tokens_per_second(self) -> float | None:
        """Mean tokens per second over the whole run, including validations."""
        tokens, seconds = self.last("tokens"), self.last("seconds")
        return tokens / seconds if tokens is not None and seconds else None


def append_metrics(folder: Path, report: dict[str, Any]) -> None:
    """Append a report as one line, completely or not at all.

    If the last line of the file is incomplete, a line break is written first.

    Raises:
        StorageError: the file cannot be written.
    """
    path = folder / METRICS
    line = (json.dumps(report) + "\n").encode()
    with storage_errors(path), path.open("a+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
            line = b"\n" + line
        if file.write(line) != len(line):  # only part of it fitted on the disk
            file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """Return the reports in order, without damaged lines.

    A line is damaged if it is not a JSON object with a step, or if a known field is not a number of
    the expected kind.

    Raises:
        CheckpointError: the file cannot be read, or has more than `MAX_REPORTS` lines.
    """
    return [content for _, content in readable_lines(folder / METRICS)]


def has_reports(folder: Path) -> bool:
    """Return whether a run has any valid report.

    Raises:
        CheckpointError: the file cannot be read, or has more than `MAX_REPORTS` lines.
    """
    return any(readable_lines(folder / METRICS))


def readable_lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each valid line and its report.

    Raises:
        CheckpointError: the file cannot be read, or has more than `MAX_REPORTS` lines.
    """
    for line in metrics_lines(path):
        with suppress(CheckpointError):
            yield line, checked_report(line, path.name)


def metrics_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a metrics.jsonl, or none if the file is missing.

    The last line may be incomplete. A line longer than `MAX_REPORT_BYTES` is yielded in pieces of
    at most that size, which are not valid reports.

    Raises:
        CheckpointError: the file cannot be read, or has more than `MAX_REPORTS` lines.
    """
    try:
        with open_regular(path) as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_REPORT_BYTES), b"")):
                if number == MAX_REPORTS:
                    raise RefusedFileError(f"it has more than {MAX_REPORTS:,} lines")
                yield line
    except FileNotFoundError:
        return
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error


def read_history(folder: Path) -> History:
    """Return the reports of a run, which may still be running.

    A last line without a line break is ignored.

    Raises:
        CheckpointError: the file cannot be read, or a line is damaged.
    """
    history, damage = scan_history(folder)
    if damage is not None:
        raise damage
    return history


def scan_history(folder: Path) -> tuple[History, CheckpointError | None]:
    """Return the reports of a run without damaged lines, and the error for the first of these.

    A last line without a line break is ignored. The error is None if no line is damaged.

    Raises:
        CheckpointError: the file cannot be read.
    """
    path = folder / METRICS
    reports, damage = [], None
    for number, line in enumerate(metrics_lines(path), 1):
        if line.endswith(b"\n") or len(line) == MAX_REPORT_BYTES:
            try:
                reports.append(parse_report(line, f"{path}:{number}"))
            except CheckpointError as error:
                damage = damage or error
    return History(folder, tuple(reports)), damage


def parse_report(line: bytes, place: str) -> Report:
    """Parse a line as a report; unknown fields are ignored.

    `place` names the line in the error.

    Raises:
        CheckpointError: the line is not a JSON object with a step, or a known field is not a number
            of the expected kind.
    """
    content = checked_report(line, place)
    return Report(**{name: content[name] for name in NAMES if content.get(name) is not None})


def checked_report(line: bytes, place: str) -> dict[str, Any]:
    """Return the content of a line, including unknown fields, after checking the known ones.

    Raises:
        CheckpointError: the line is not a JSON object with a step, or a known field is not a number
            of the expected kind.
    """
    try:
        content = parse_json(line)
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("step") is None:
        raise CheckpointError(f"{place} is damaged: no report with a step; delete the line.")
    known = {name: content[name] for name in NAMES if content.get(name) is not None}
    for name, value in known.items():
        fit = is_count(value) if name in COUNTS else is_number(value)
        if not fit or (name in POSITIVE and value < 0):
            what = "count" if name in COUNTS else "number"
            raise CheckpointError(f"{place} is damaged: {name} is no {what}; delete the line.")
    return content


def is_count(value: object) -> bool:
    """Return whether a value is an integer from 0 to 2**63 - 1."""
    return type(value) is int and 0 <= value < 2**63  # isinstance would accept True


def is_number(value: object) -> bool:
    """Return whether a value is a number, which may be infinite or NaN as gradient norms can be.

    A finite float must be 0 or between `SMALLEST` and `LARGEST` in magnitude, so that charts can
    compute with it. An integer must fit in 64 bits.
    """
    if isinstance(value, float) and value and math.isfinite(value):
        return SMALLEST <= abs(value) <= LARGEST
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**63)


def forget_metrics_after(folder: Path, step: int, *, is_validated: bool = True) -> None:
    """Remove the reports after `step`, which a resumed run will write again.

    If `is_validated` is false, the validation report of `step` itself is removed too. This is the
    case if a finished run is extended.

    Raises:
        CheckpointError: the file cannot be read, or has more than `MAX_REPORTS` lines.
        StorageError: the file cannot be written.
    """
    with replacement(folder / METRICS) as file:
        for line, report in readable_lines(folder / METRICS):
            is_end = report["step"] == step and (is_validated or "valid_nats" not in report)
            if report["step"] < step or is_end:
                file.write(line.rstrip(b"\n") + b"\n")
