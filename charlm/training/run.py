"""A training run: steps, validation, best weights, early stopping, going back, saving."""

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

SAVE_SECONDS = 60.0  # the most work that a crash can cost
REPORTS = 200  # lines in metrics.jsonl, validations aside
MAX_SETBACKS = 3
AT_ONCE = {"cpu": 1, "cuda": 16, "mps": 16}  # steps before the device is waited for


@dataclass(frozen=True, slots=True)
class Validated:
    """The model was tried on the validation part; estimates, in nats per token."""

    step: int
    nats: float  # of the better of raw and averaged weights
    is_best: bool
    raw_nats: float | None = None  # of the weights that learn, where averaging has begun
    averaged_nats: float | None = None  # of their mean, where averaging has begun


@dataclass(frozen=True, slots=True)
class WentBack:
    """The loss was not finite: back to a good state, at a lower learning rate."""

    step: int
    to_step: int
    rate_scale: float


@dataclass(frozen=True, slots=True)
class StoppedEarly:
    """Validation has not improved for `patience` validations."""

    step: int
    patience: int


@dataclass(frozen=True, slots=True)
class Settled:
    """The learning rate begins to fall: from here on it is known how many steps there will be."""

    step: int
    steps: int


Event = Step | Validated | WentBack | StoppedEarly | Settled


@dataclass(slots=True)
class Progress:
    """How a run stands, apart from what the learner holds."""

    step: int = 0
    rate_scale: float = 1.0  # of the learning rate, after losses not finite and plateaus
    best_nats: float | None = None
    best_step: int = 0
    nats: float | None = None  # of the last validation
    raw_nats: float | None = None  # of the same, of the weights that learn
    since_best: int = 0  # validations
    setbacks: int = 0  # in a row
    num_tokens: int = 0
    seconds: float = 0.0
    stopped: bool = False
    budget_seconds: float | None = None  # that the steps are fitted to, until they are settled
    max_steps: int | None = None  # that fit into no budget
    unreported_nats: float = 0.0  # of training, since the last report
    unreported_tokens: int = 0
    unreported_seconds: float = 0.0  # of those steps alone
    # Of the weights that were kept when the run ended sooner than it will now: extension.py
    earlier_nats: float | None = None
    earlier_step: int = 0

    @property
    def budget(self) -> Budget | None:
        """What the steps are fitted to; None: they are settled."""
        if self.budget_seconds is None or self.max_steps is None:
            return None
        return Budget(self.budget_seconds, self.max_steps)

    @property
    def kept(self) -> tuple[float, int] | None:
        """Nats per token of the weights that are kept, and their step; None: not validated."""
        if self.earlier_nats is not None:
            return self.earlier_nats, self.earlier_step
        return None if self.best_nats is None else (self.best_nats, self.best_step)

    def is_finished(self, steps: int) -> bool:
        """Whether no step of so many is left to take."""
        return self.stopped or self.step >= steps

    def take(self, steps: Sequence[Step], seconds: float) -> None:
        """Take in steps, which together took so many seconds."""
        self.step = steps[-1].step
        for step in steps:
            self.num_tokens += step.num_tokens
            self.unreported_nats += step.loss * step.num_tokens
            self.unreported_tokens += step.num_tokens
        self.unreported_seconds += seconds


@dataclass(slots=True)
class TrainingRun:
    """A run in its folder. Going through `events` trains; whoever goes through them may stop."""

    folder: Path
    config: CheckpointConfig
    learner: Learner
    valid: Windows | None
    progress: Progress = field(default_factory=Progress)
    locks: tuple[FolderLock, ...] = ()  # that `events` gives back; else it takes its own

    @property
    def num_parameters(self) -> int:
        """Weights of the model, tied ones once."""
        return sum(parameter.numel() for parameter in self.learner.model.parameters())

    @property
    def is_finished(self) -> bool:
        """Whether no step is left to take."""
        return self.progress.is_finished(self.learner.config.steps)

    def events(self) -> Generator[Event]:
        """Train to the end, or until the caller stops asking; then call `save`.

        After a loss that is not finite the run goes back to its last validation, or to where it
        was resumed if that is later.

        The folder is locked until the iterator ends or is closed.

        Raises:
            TrainingError: the loss was not finite three times in a row.
            StorageError: a file of the checkpoint cannot be written, and the last one stays; or
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
                # Whoever stops at an event finds the run whole: what belongs to the step is done.
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
        """Keep all that is needed to go on from here.

        Raises:
            StorageError: it cannot be written; what was saved before stays.
        """
        progress = self.progress
        save_state(self.folder, *self.state())
        is_tried = progress.best_nats is not None or progress.earlier_nats is not None
        if not is_tried and progress.step >= progress.earlier_step:  # newer than what is kept
            self._save_weights(averaged=self.learner.average.has_begun)

    def state(self) -> tuple[dict[str, Tensor], str]:
        """Return all that `restore` needs, as `save_state` takes it."""
        settled = {
            "progress": asdict(self.progress),
            "training": asdict(self.learner.config),
            "arithmetic": describe_arithmetic(self.learner.model.device),
        }
        return self.learner.tensors(), json.dumps(settled)

    def restore(self, tensors: dict[str, Tensor], progress: Progress) -> None:
        """Go on from what `save` kept; no file is changed."""
        self.progress = progress
        self._put_back(tensors, progress)

    def _save_level_state(self) -> None:
        """Keep the last state that does not depend on how many steps there will be."""
        if self.progress.budget is not None:  # it is not known yet which one that is
            return
        config, step = self.learner.config, self.progress.step
        if step == last_common_step(config) and needs_level_state(config):
            save_state(self.folder, *self.state(), LEVEL_STATE)

    def _steps_at_once(self, report_every: int) -> int:
        """How many to take before looking: nothing else is due before the last of them."""
        config, done = self.learner.config, self.progress.step
        at_once = AT_ONCE[self.learner.model.device.type]
        every = report_every, config.valid_every, config.steps
        counts = [number - done % number for number in every]
        common = last_common_step(config)
        if common is not None and done < common:
            counts.append(common - done)
        return min(at_once, *counts)

    def _fit_to_budget(self) -> list[Event]:
        """As many steps as the time holds at the pace so far, until the learning rate falls."""
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
        """Keep the settings of the run as they are now."""
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
        if self.valid is None:  # nothing held out: `save` keeps the newest weights as the best
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
        """Estimate what the weights that learn give, and their mean where there is one."""
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
