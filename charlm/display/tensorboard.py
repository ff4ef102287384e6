"""Export of a run's metrics.jsonl to TensorBoard event files during training."""

import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from charlm.checkpoint import Report, read_history
from charlm.errors import ConfigError
from charlm.location import EVENTS, METRICS
from charlm.storage import storage_errors
from charlm.training import Event, WentBack

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = EVENTS
FLUSH_SECONDS = 10
TAGS: Mapping[str, str] = {
    "loss": "nats_per_token/training",
    "valid_nats": "nats_per_token/validation",
    "valid_nats_raw": "nats_per_token/validation_raw_weights",
    "valid_nats_averaged": "nats_per_token/validation_averaged_weights",
    "learning_rate": "training/learning_rate",
    "grad_norm": "training/grad_norm",
    "tokens_per_second": "training/tokens_per_second",
}
"""Fields of a report, and what their charts are called; TensorBoard groups them by the slash."""


class TensorboardLog:
    """Writer that keeps `CHECKPOINT/tensorboard/` in step with `CHECKPOINT/metrics.jsonl`.

        with TensorboardLog(run.folder) as log:
            for event in run.events():
                log.show(event)

    Points are identified by step, and their times follow the run's own clock. Entering the context,
    and each rollback of the run, starts a new event file that purges the earlier ones and contains
    all reports. No point is duplicated or missing, however the last process ended, and a run that
    was started without the option gets its complete history.
    """

    def __init__(self, folder: Path) -> None:
        """Check that the library is installed; write nothing yet.

        Args:
            folder: checkpoint folder, which need not exist yet.

        Raises:
            ConfigError: tensorboard is not installed.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise ConfigError("for --tensorboard, run `pip install charlm[tensorboard]`.") from None
        self._make_writer = SummaryWriter
        self._folder = folder
        self._writer: SummaryWriter | None = None
        self._size = 0  # of metrics.jsonl, in bytes, when it was last read
        self._num_reports = 0
        self._started = 0.0

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with storage_errors(self._folder / FOLDER):
            if kind is None:
                self._write_reports()
            self._close()

    def show(self, event: Event) -> None:
        """Write the reports that the run has added with this event, if any.

        Raises:
            CheckpointError: metrics.jsonl is damaged.
            StorageError: the event file cannot be written.
        """
        with storage_errors(self._folder / FOLDER):
            if isinstance(event, WentBack):
                self._begin()
            elif self._size_of_metrics() != self._size:
                self._write_reports()

    def _begin(self) -> None:
        """Open a new event file that purges the earlier ones, and write all reports."""
        self._close()
        with storage_errors(self._folder / FOLDER):
            self._writer = self._make_writer(
                str(self._folder / FOLDER), purge_step=0, flush_secs=FLUSH_SECONDS
            )
            self._num_reports = 0
            seconds = read_history(self._folder).last("seconds")
            self._started = time.time() - (seconds or 0.0)
            self._write_reports()

    def _write_reports(self) -> None:
        """Write the reports added since the last call."""
        assert self._writer is not None, "enter it first"
        self._size = self._size_of_metrics()
        reports = read_history(self._folder).reports
        for report in reports[self._num_reports :]:
            self._write(report, self._writer)
        self._num_reports = len(reports)

    def _size_of_metrics(self) -> int:
        path = self._folder / METRICS
        return path.stat().st_size if path.exists() else 0

    def _write(self, report: Report, writer: "SummaryWriter") -> None:
        for field, tag in TAGS.items():
            if (value := getattr(report, field)) is not None:
                moment = self._started + (report.seconds or 0.0)
                writer.add_scalar(tag, value, report.step, walltime=moment)

    def _close(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()
