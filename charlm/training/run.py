"""A training run: steps, validation, best weights, early stopping, rollback and saving."""

import json
import math
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from torch import Tensor

from charlm.checkpoint import (
    CheckpointConfig,
    append_metrics,
    forget_metrics_after,
    model_card,
    remove_leftovers,
    save_card,
    save_recipe,
    save_state,
    save_weights,
)
from charlm.data import Windows
from charlm.errors import TrainingError
from charlm.evaluation import estimate_nats
from charlm.location import LEVEL_STATE
from charlm.storage import FolderLock
from charlm.training.arithmetic import describe_arithmetic
from charlm.training.budget import Budget, fitting_steps, is_settled, level_share
from charlm.training.common import last_common_step, needs_level_state
from charlm.training.learner import Learner, Step
from charlm.training.recipe import Recipe
from charlm.training.schedule import plateau_factor

SAVE_SECONDS = 60.0  # between saves, which limits the work that a crash can lose
REPORTS = 200  # lines in metrics.jsonl, not counting validations
MAX_SETBACKS = 3
AT_ONCE = {"cpu": 1, "cuda": 16, "mps": 16}  # maximum steps between synchronizations


@dataclass(frozen=True, slots=True)
class Validated:
    """Result of a validation; losses are estimates in nats per token."""

    step: int
    nats: float  # of the trained or the averaged weights, whichever are better
    is_best: bool
    raw_nats: float | None = None  # of the trained weights, if averaging has begun
    averaged_nats: float | None = None  # of the averaged weights, if averaging has begun


@dataclass(frozen=True, slots=True)
class WentBack:
    """Rollback after a non-finite loss or gradient, with a lower learning rate."""

    step: int
    to_step: int
    rate_scale: float


@dataclass(frozen=True, slots=True)
class StoppedEarly:
    """Early stop after `patience` validations without improvement."""

    step: int
    patience: int


@dataclass(frozen=True, slots=True)
class Settled:
    """Point from which the number of steps is fixed: the rate or averaging now depends on it."""

    step: int
    steps: int


Event = Step | Validated | WentBack | StoppedEarly | Settled


@dataclass(slots=True)
class Progress:
    """Progress of a run: counts, times in seconds, and losses in nats per token."""

    step: int = 0
    rate_scale: float = 1.0  # factor of the learning rate, after non-finite losses and plateaus
    best_nats: float | None = None
    best_step: int = 0
    nats: float | None = None  # of the last validation
    raw_nats: float | None = None  # of the last validation, with the trained weights
    since_best: int = 0  # validations since the best one
    setbacks: int = 0  # rollbacks in a row
    num_tokens: int = 0
    seconds: float = 0.0
    stopped: bool = False  # early
    budget_seconds: float | None = None  # while the number of steps is fitted to it
    max_steps: int | None = None  # limit of the budget
    unreported_nats: float = 0.0  # total over the training tokens since the last report
    unreported_tokens: int = 0
    unreported_seconds: float = 0.0  # of these steps alone
    # Of the weights that were kept before the run was extended: extension.py
    earlier_nats: float | None = None
    earlier_step: int = 0

    @property
    def budget(self) -> Budget | None:
        """The budget to which the number of steps is fitted; None if the number is fixed."""
        if self.budget_seconds is None or self.max_steps is None:
            return None
        return Budget(self.budget_seconds, self.max_steps)

    @property
    def kept(self) -> tuple[float, int] | None:
        """Nats per token and step of the kept weights; None before the first validation."""
        if self.earlier_nats is not None:
            return self.earlier_nats, self.earlier_step
        return None if self.best_nats is None else (self.best_nats, self.best_step)

    def is_finished(self, steps: int) -> bool:
        """Return whether the run stopped early or has taken `steps` steps."""
        return self.stopped or self.step >= steps

    def take(self, steps: Sequence[Step], seconds: float) -> None:
        """Record steps that together took `seconds`."""
        self.step = steps[-1].step
        for step in steps:
            self.num_tokens += step.num_tokens
            self.unreported_nats += step.loss * step.num_tokens
            self.unreported_tokens += step.num_tokens
        self.unreported_seconds += seconds


@dataclass(slots=True)
class TrainingRun:
    """A run in its folder. Iterating over `events` trains; the caller may stop at any event."""

    folder: Path
    config: CheckpointConfig
    learner: Learner
    valid: Windows | None
    progress: Progress = field(default_factory=Progress)
    locks: tuple[FolderLock, ...] = ()  # released by `events`, which locks the folder without any

    @property
    def num_parameters(self) -> int:
        """Number of weights of the model; tied weights count once."""
        return sum(parameter.numel() for parameter in self.learner.model.parameters())

    @property
    def is_finished(self) -> bool:
        """Return whether no steps are left."""
        return self.progress.is_finished(self.learner.config.steps)

    def events(self) -> Generator[Event]:
        """Train to the end and yield events; a caller that stops before should call `save`.

        After a non-finite loss the run returns to its last validation, or to where it was resumed
        if that is later.

        The folder is locked until the iterator ends or is closed.

        Raises:
            TrainingError: the loss was not finite three times in a row.
            StorageError: a file of the checkpoint cannot be written (the previous one is kept), or
                another process is training this run.
        """
        config = self.learner.config
        report_every = max(1, config.steps // REPORTS)
        locks, self.locks = self.locks or (FolderLock(self.folder),), ()
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            remove_leftovers(self.folder)
            self._describe()
            good = self._copy()
            saved = started = time.monotonic()
            before = self.progress.seconds
            while not self.is_finished:
                began = time.monotonic()
                steps = self.learner.take_steps(self._steps_at_once(report_every))
                ended = time.monotonic()
                self.progress.seconds = before + ended - started
                bad = next((step for step in steps if not step.is_finite), None)
                if bad is not None:
                    yield self._go_back(bad, good)
                    continue
                self.progress.take(steps, ended - began)
                step = steps[-1]
                # Events are yielded last, so that the run is consistent if the caller stops there.
                tried: list[Event] = []
                if step.step % report_every == 0 or self.is_finished:
                    self._report(step)
                    tried += self._fit_to_budget()
                is_due = step.step % config.valid_every == 0
                if is_due:
                    tried += self._validate()
                    self.progress.setbacks = 0
                self._save_level_state()
                if is_due or self.is_finished:
                    if not is_due:
                        tried += self._validate()
                        self.progress.setbacks = 0
                    good = self._copy()
                    self.save()
                    saved = time.monotonic()
                elif time.monotonic() - saved > SAVE_SECONDS:
                    self.save()
                    saved = time.monotonic()
                yield from steps
                yield from tried

    def save(self) -> None:
        """Save everything that is needed to continue from here.

        Raises:
            StorageError: a file cannot be written; the previous one is kept.
        """
        progress = self.progress
        save_state(self.folder, *self.state())
        is_tried = progress.best_nats is not None or progress.earlier_nats is not None
        # Without validation, the newest weights are kept.
        if not is_tried and progress.step >= progress.earlier_step:
            self._save_weights(averaged=self.learner.average.has_begun)

    def state(self) -> tuple[dict[str, Tensor], str]:
        """Return the training state as tensors and JSON text, in the form of `save_state`."""
        settled = {
            "progress": asdict(self.progress),
            "training": asdict(self.learner.config),
            "arithmetic": describe_arithmetic(self.learner.model.device),
        }
        return self.learner.tensors(), json.dumps(settled)

    def restore(self, tensors: dict[str, Tensor], progress: Progress) -> None:
        """Restore the state that `save` wrote; no file is changed."""
        self.progress = progress
        self._put_back(tensors, progress)

    def _save_level_state(self) -> None:
        """Save the current state if it is the last that does not depend on the number of steps."""
        if self.progress.budget is not None:  # the step of that state is not known yet
            return
        config, step = self.learner.config, self.progress.step
        if step == last_common_step(config) and needs_level_state(config):
            save_state(self.folder, *self.state(), LEVEL_STATE)

    def _steps_at_once(self, report_every: int) -> int:
        """Return the number of steps to take at once; nothing else is due before the last one."""
        config, done = self.learner.config, self.progress.step
        at_once = AT_ONCE[self.learner.model.device.type]
        every = report_every, config.valid_every, config.steps
        counts = [number - done % number for number in every]
        common = last_common_step(config)
        if common is not None and done < common:
            counts.append(common - done)
        return min(at_once, *counts)

    def _fit_to_budget(self) -> list[Event]:
        """Fit the number of steps to the time budget at the average speed so far.

        Returns a `Settled` event if the number is fixed from now on; otherwise nothing.
        """
        progress, config = self.progress, self.learner.config
        budget = progress.budget
        if budget is None or level_share(config) is None:
            return []
        steps = fitting_steps(config, progress.step, progress.seconds, budget)
        self.learner.plan_steps(steps)
        if not is_settled(config, progress.step, steps):
            return []
        progress.budget_seconds = None
        self.save_recipe()
        return [Settled(progress.step, steps)]

    def save_recipe(self) -> None:
        """Save the current settings of the run.

        Raises:
            StorageError: the file cannot be written.
        """
        config = self.config
        recipe = Recipe(config.corpus, config.text, config.model, self.learner.config)
        save_recipe(self.folder, recipe.to_toml())

    def _copy(self) -> tuple[dict[str, Tensor], Progress]:
        return self.learner.tensors(), replace(self.progress)

    def _put_back(self, tensors: dict[str, Tensor], progress: Progress) -> None:
        self.learner.load_tensors(tensors)
        self.learner.step = progress.step
        self.learner.rate_scale = progress.rate_scale

    def _go_back(self, step: Step, good: tuple[dict[str, Tensor], Progress]) -> WentBack:
        tensors, then = good
        progress = self.progress = replace(
            then,
            setbacks=self.progress.setbacks + 1,
            rate_scale=self.progress.rate_scale / 2,
            seconds=self.progress.seconds,
        )
        self._put_back(tensors, progress)
        if progress.setbacks >= MAX_SETBACKS:
            self.save()
            raise TrainingError(
                f"the loss was not finite {MAX_SETBACKS} times in a row, last at step "
                f"{step.step}; start a new run with a lower --learning-rate. The best weights so "
                f"far are in {self.folder}."
            )
        forget_metrics_after(self.folder, progress.step)
        return WentBack(step.step, progress.step, progress.rate_scale)

    def _validate(self) -> list[Event]:
        progress, config = self.progress, self.learner.config
        if self.valid is None:  # without held-out text, `save` keeps the newest weights
            return []
        validated = self._try_weights(self.valid)
        progress.nats = validated.nats
        progress.raw_nats = validated.nats if validated.raw_nats is None else validated.raw_nats
        if validated.is_best:
            progress.best_nats, progress.best_step = validated.nats, progress.step
            progress.since_best = 0
            if progress.earlier_nats is None or validated.nats < progress.earlier_nats:
                progress.earlier_nats = None
                self._save_weights(averaged=validated.nats == validated.averaged_nats)
        else:
            progress.since_best += 1
            progress.rate_scale /= plateau_factor(config)
            self.learner.rate_scale = progress.rate_scale
        self._report_validated(validated)
        self._describe()
        tried: list[Event] = [validated]
        if config.patience is not None and progress.since_best >= config.patience:
            progress.stopped = True
            tried.append(StoppedEarly(progress.step, config.patience))
        return tried

    def _try_weights(self, valid: Windows) -> Validated:
        """Estimate the loss of the trained weights, and of the averaged weights if there are any.

        Averaging may be triggered by the result.
        """
        learner, progress = self.learner, self.progress
        model, average, precision = learner.model, learner.average, learner.config.precision
        nats = raw = estimate_nats(model, valid, precision)
        averaged = None
        if average.has_begun:
            with average.in_place(model):
                averaged = estimate_nats(model, valid, precision)
            nats = min(filter(math.isfinite, (raw, averaged)), default=raw)
        average.take_validation(model, raw)
        best = math.inf if progress.best_nats is None else progress.best_nats
        is_best = math.isfinite(nats) and nats < best
        both = (None, None) if averaged is None else (raw, averaged)
        return Validated(progress.step, nats, is_best, *both)

    def _save_weights(self, averaged: bool) -> None:
        model = self.learner.model
        with self.learner.average.in_place(model) if averaged else nullcontext():
            save_weights(self.folder, model)

    def _report_validated(self, validated: Validated) -> None:
        found = {"valid_nats": validated.nats}
        if validated.raw_nats is not None and validated.averaged_nats is not None:
            found["valid_nats_raw"] = validated.raw_nats
            found["valid_nats_averaged"] = validated.averaged_nats
        self._append({k: nats if math.isfinite(nats) else None for k, nats in found.items()})

    def _report(self, step: Step) -> None:
        progress = self.progress
        tokens = progress.unreported_tokens
        self._append(
            {
                "loss": progress.unreported_nats / max(1, tokens),
                "learning_rate": step.learning_rate,
                "grad_norm": step.grad_norm,
                "tokens_per_second": round(tokens / max(1e-9, progress.unreported_seconds), 1),
            }
        )
        progress.unreported_nats, progress.unreported_tokens = 0.0, 0
        progress.unreported_seconds = 0.0

    def _append(self, report: dict[str, float | None]) -> None:
        place = {
            "step": self.progress.step,
            "tokens": self.progress.num_tokens,
            "seconds": round(self.progress.seconds, 3),
        }
        append_metrics(self.folder, place | report)

    def _describe(self) -> None:
        progress = self.progress
        scores = "not validated yet"
        if (kept := progress.kept) is not None:
            nats, step = kept
            scores = (
                f"validation, estimated: {nats:.4f} nats per token at step "
                f"{step:,} of {self.learner.config.steps:,}"
            )
        card = model_card(self.folder, self.config, self.num_parameters, scores)
        save_card(self.folder, card)
