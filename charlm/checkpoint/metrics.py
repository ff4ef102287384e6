"""metrics.jsonl: a line a report, from which everything about a run can be drawn."""

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
    """One line: how training stood at a step, or what a validation gave; None is not reported."""

    step: int
    tokens: int | None = None  # read so far
    seconds: float | None = None  # of training so far
    loss: float | None = None  # nats per token
    learning_rate: float | None = None
    grad_norm: float | None = None  # before clipping
    tokens_per_second: float | None = None
    valid_nats: float | None = None  # nats per token
    valid_nats_raw: float | None = None  # of the weights as they are
    valid_nats_averaged: float | None = None  # of their average
    earlier_nats: float | None = None  # of weights that are kept from before a run was made longer
    earlier_step: int | None = None  # of them


MAX_REPORTS, MAX_REPORT_BYTES = 1 << 19, 1 << 16  # far more than charlm writes
SMALLEST, LARGEST = 1e-250, 1e45
COUNTS = ("step", "tokens", "earlier_step")
POSITIVE = ("seconds", "learning_rate", "grad_norm", "tokens_per_second")  # or 0
NAMES = tuple(field.name for field in fields(Report))


@dataclass(frozen=True, slots=True)
class History:
    """What a run has reported so far, in order."""

    folder: Path
    reports: tuple[Report, ...]

    def series(self, x: str, y: str) -> tuple[Floats, Floats]:
        """Two fields of the reports that have both as finite numbers, each of shape (points,)."""
        pairs = [(getattr(report, x), getattr(report, y)) for report in self.reports]
        points = np.array([pair for pair in pairs if None not in pair], np.float64).reshape(-1, 2)
        points = points[np.isfinite(points).all(axis=1)]
        return points[:, 0], points[:, 1]

    def last(self, name: str) -> Any:
        """The newest value of a field, None where it was never reported."""
        values = (getattr(report, name) for report in reversed(self.reports))
        return next((value for value in values if value is not None), None)

    @property
    def best(self) -> tuple[float, int] | None:
        """The lowest validation loss, nats per token, and its step; None without any."""
        steps, nats = self.series("step", "valid_nats")
        return min(zip(nats.tolist(), map(int, steps), strict=True), default=None)

    @property
    def tokens_per_second(self) -> float | None:
        """Over the whole run, validations included."""
        tokens, seconds = self.last("tokens"), self.last("seconds")
        return tokens / seconds if tokens is not None and seconds else None


def append_metrics(folder: Path, report: dict[str, Any]) -> None:
    """Add a line: all of it, or nothing. After a line that was cut short it begins a new one.

    Raises:
        StorageError: it cannot be written.
    """
    path = folder / METRICS
    line = (json.dumps(report) + "\n").encode()
    with storage_errors(path), path.open("a+b", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
            line = b"\n" + line
        if file.write(line) != len(line):  # the disk took the beginning only
            file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The reports in order; a line that a crash or damage made unreadable is left out.

    So is one with a text, a table or the like where a number belongs.

    Raises:
        CheckpointError: it is not a regular file, or too large.
    """
    return [content for _, content in readable_lines(folder / METRICS)]


def has_reports(folder: Path) -> bool:
    """Whether a run has reported anything; errors as of `read_metrics`."""
    return any(readable_lines(folder / METRICS))


def readable_lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each line that is a report, and what it says; errors as of `read_metrics`."""
    for line in metrics_lines(path):
        with suppress(CheckpointError):
            yield line, checked_report(line, path.name)


def metrics_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a metrics.jsonl, none if it is missing; the last may be cut short.

    A line is never longer than `MAX_REPORT_BYTES`: the pieces of a longer one are no reports.

    Raises:
        CheckpointError: it cannot be read, or has more than `MAX_REPORTS` lines.
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
    """What a run has reported; it may be going on, so a last line without its end is passed over.

    Raises:
        CheckpointError: the file cannot be read, or a line of it is damaged.
    """
    history, damage = scan_history(folder)
    if damage is not None:
        raise damage
    return history


def scan_history(folder: Path) -> tuple[History, CheckpointError | None]:
    """As `read_history`, but without the lines that are damaged; the error for the first of them.

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
    """A line as a report; fields of other names are passed over.

    Raises:
        CheckpointError: it is no JSON object with a step, or a field of it is no number.
    """
    content = checked_report(line, place)
    return Report(**{name: content[name] for name in NAMES if content.get(name) is not None})


def checked_report(line: bytes, place: str) -> dict[str, Any]:
    """A line as it is, once its fields are known to be numbers; errors as `parse_report`'s."""
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
    """Whether it is a whole number that a run can reach."""
    return type(value) is int and 0 <= value < 2**63  # True is an int as well, but no count


def is_number(value: object) -> bool:
    """Whether it is a number; it may be infinite or NaN, as a gradient's norm can be.

    A finite one is of a size that training can reach, so that a chart can compute with it.
    """
    if isinstance(value, float) and value and math.isfinite(value):
        return SMALLEST <= abs(value) <= LARGEST
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**63)


def forget_metrics_after(folder: Path, step: int, *, is_validated: bool = True) -> None:
    """Drop the reports past `step`, which a resumed run makes again.

    Where `step` itself `is_validated` no longer, as the end of a run is that goes on, the report of
    its validation goes too.

    Raises:
        StorageError: the file cannot be written.
    """
    with replacement(folder / METRICS) as file:
        for line, report in readable_lines(folder / METRICS):
            is_end = report["step"] == step and (is_validated or "valid_nats" not in report)
            if report["step"] < step or is_end:
                file.write(line.rstrip(b"\n") + b"\n")
