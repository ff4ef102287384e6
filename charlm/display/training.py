"""Progress of a training run: a live bar with metrics and a sample, or plain lines if piped."""

import time
from collections import deque
from types import TracebackType
from typing import Self

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from charlm.checkpoint import heldout_bytes
from charlm.display.console import progress_console
from charlm.display.tables import show_fields
from charlm.training import (
    Event,
    Plan,
    Settled,
    Step,
    StoppedEarly,
    TrainingConfig,
    TrainingRun,
    Validated,
    WentBack,
    judge,
)

SPEED_WINDOW = 20.0  # seconds over which tokens per second are averaged


def show_plan(plan: Plan, run: TrainingRun) -> None:
    """Print a summary of what will be trained and how long it should take, on stderr."""
    model, training, console = plan.model, plan.training, progress_console()
    softmax = "" if model.softmax == "full" else f", {model.softmax} softmax"
    console.print(
        Text.assemble(
            (str(run.folder), "bold"),
            f": {model.shape}, {run.num_parameters:,} parameters, "
            f"{model.dropouts}, {model.vocab_size:,} tokens in the vocabulary{softmax}",
        )
    )
    until = ""
    if plan.expected_seconds is not None:
        until = f", until about {clock(plan.expected_seconds)}"
    console.print(
        f"{num_steps(plan)} steps of {tokens_of_step(training)} tokens in "
        f"{training.precision}, {plan.num_epochs:.1f} epochs: {plan.why}{until}",
        markup=False,
    )


def show_whole_plan(plan: Plan) -> None:
    """Print the complete plan and its reasons on stdout, for a run that is not started."""
    model, training = plan.model, plan.training
    tied = "tied" if model.tie_embeddings else "not tied"
    fields = {
        "model": f"{model.shape}, embeddings of "
        f"{model.embedding_size} ({tied}), {model.softmax} softmax over {model.vocab_size:,}",
        "parameters": f"{plan.num_parameters:,}",
        "memory": f"about {plan.memory_bytes / 2**20:,.0f} MiB beyond the program's own",
        "regularised by": model.dropouts,
        "steps": f"{num_steps(plan)} of {tokens_of_step(training)} tokens in "
        f"{training.precision}: {plan.why}",
        "epochs": f"{plan.num_epochs:.1f}",
        "optimiser": f"{training.optimizer}, learning rate {training.learning_rate:g}, "
        f"{training.schedule}, averages: {training.averaging}",
    }
    if plan.expected_seconds is not None:
        length = duration(plan.expected_seconds)
        fields["end"] = f"about {clock(plan.expected_seconds)}, after {length}, if begun now"
    if plan.reasons:
        fields["why"] = "\n".join(plan.reasons)
    show_fields("plan", fields)


def num_steps(plan: Plan) -> str:
    """Return the number of steps as text, with "about" if it depends on a time budget."""
    return f"{'about ' * (plan.budget is not None)}{plan.training.steps:,}"


def tokens_of_step(training: TrainingConfig) -> str:
    """Return the shape of a step: batch size x bptt, with accumulated windows if more than one.

    For example `32 x 64` or `4 x 32 x 64`.
    """
    windows = f"{training.batch_size} x {training.bptt}"
    count = training.accumulation_steps
    return windows if count == 1 else f"{count} x {windows}"


def clock(seconds: float) -> str:
    """Return the local time `seconds` from now, with the date if that is not today."""
    then, now = time.localtime(time.time() + seconds), time.localtime()
    today = (then.tm_year, then.tm_yday) == (now.tm_year, now.tm_yday)
    return time.strftime("%H:%M:%S" if today else "%d %B, %H:%M", then)


class TrainingDisplay:
    """Live display of the events of a run, used as a context manager."""

    def __init__(self, run: TrainingRun) -> None:
        self._run = run
        self._console = progress_console()
        self._loss: float | None = None
        self._valid = run.progress.best_nats
        self._times: deque[tuple[float, int]] = deque()
        self._num_tokens = 0
        self._sample = Text()
        self._progress = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.description}", markup=False),
            console=self._console,
        )
        self._task = self._progress.add_task("", total=self._steps, completed=run.progress.step)
        self._live = Live(console=self._console, refresh_per_second=4)

    @property
    def _steps(self) -> int:
        """Total number of steps, as currently planned."""
        return self._run.learner.config.steps

    def wants_sample(self, event: Event) -> bool:
        """Return whether a new sample should be shown: after a validation, on a terminal."""
        return isinstance(event, Validated) and self._console.is_terminal

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def show(self, event: Event) -> None:
        """Update the display for one event."""
        match event:
            case Step():
                self._take(event)
            case Validated():
                self._valid = event.nats
                self._print_line(event.step)
            case WentBack():
                self._console.print(
                    f"loss not finite at step {event.step:,}: back to step {event.to_step:,}, "
                    f"learning rate times {event.rate_scale:g}",
                    style="yellow",
                )
            case Settled():
                self._console.print(
                    f"step {event.step:,}: the learning rate falls from here to step "
                    f"{event.steps:,}, the last"
                )
            case StoppedEarly():
                self._console.print(
                    f"stopped at step {event.step:,}: no new best in {event.patience} validations"
                )

    def show_sample(self, text: str) -> None:
        """Show text sampled from the current model."""
        self._sample = Text(text.strip())
        self._refresh()

    def _take(self, step: Step) -> None:
        now = time.monotonic()
        self._num_tokens += step.num_tokens
        self._times.append((now, self._num_tokens))
        while now - self._times[0][0] > SPEED_WINDOW:
            self._times.popleft()
        # Moving average over about 50 steps, because the loss of a single window is noisy.
        self._loss = step.loss if self._loss is None else 0.98 * self._loss + 0.02 * step.loss
        if self._run.valid is None and step.step % self._run.learner.config.valid_every == 0:
            self._print_line(step.step)
        self._progress.update(
            self._task,
            total=self._steps,
            completed=step.step,
            description=self._figures(step.step),
        )
        self._refresh()

    def _refresh(self) -> None:
        if self._console.is_terminal:
            panel = Panel(self._sample, title="sample", title_align="left", border_style="dim")
            shown = Group(self._progress, panel) if self._sample else Group(self._progress)
            self._live.update(shown)

    def _figures(self, step: int) -> str:
        parts = [f"epoch {step / self._run.learner.steps_per_epoch:.1f}"]
        if self._loss is not None:
            parts.append(f"loss {self._loss:.3f}")
        if self._valid is not None:
            parts.append(f"valid {self._valid:.3f}")
        if (speed := self._tokens_per_second()) is not None:
            parts.append(f"{speed:,.0f} tokens/s")
            parts.append(f"{duration(self._seconds_left(step))} left")
        return "  ".join(parts)

    def _print_line(self, step: int) -> None:
        if not self._console.is_terminal:
            line = f"step {step:,}/{self._steps:,}  {self._figures(step)}"
            self._console.print(line, markup=False)

    def _tokens_per_second(self) -> float | None:
        if len(self._times) < 2:
            return None
        (first, few), (last, many) = self._times[0], self._times[-1]
        return (many - few) / (last - first) if last > first else None

    def _seconds_left(self, step: int) -> float:
        (first, _), (last, _) = self._times[0], self._times[-1]
        return (last - first) / (len(self._times) - 1) * (self._steps - step)


def duration(seconds: float) -> str:
    """Format a duration as `M:SS` or `H:MM:SS`, such as `1:05` or `2:03:04`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def show_end(run: TrainingRun) -> None:
    """Print the best result, a diagnosis of under- or overfitting with advice, and next steps."""
    progress, console = run.progress, progress_console()
    if progress.kept is not None:
        nats, step = progress.kept
        sooner = "" if progress.earlier_nats is None else ", when the run was to end sooner"
        console.print(
            f"best: {nats:.4f} nats per token on the validation part (a quick "
            f"estimate), at step {step:,} of {progress.step:,}{sooner}, after "
            f"{duration(progress.seconds)}"
        )
    if verdict := judge(run):
        console.print(f"{verdict.seen}; to do better, {verdict.advice}.", markup=False)
    size = heldout_bytes(run.folder)
    text = f" with its held-out text ({size:,} bytes)" if size else ""
    console.print(
        Text.assemble(
            "kept in ",
            (str(run.folder), "bold"),
            f"{text}; now try `charlm eval` and `charlm generate`",
        )
    )


def show_interrupted(run: TrainingRun, resume: str) -> None:
    """Print that the work of an interrupted run is saved, and the command that resumes it."""
    progress_console().print(
        f"interrupted at step {run.progress.step:,}; the work is kept. Go on with `{resume}`.",
        markup=False,
    )
