"""Diagnosis of a finished run: underfitting, overfitting or divergence, and what to change."""

import math
from dataclasses import dataclass
from typing import Literal

from charlm.data import Epochs, Window
from charlm.evaluation import estimate_nats
from charlm.training.run import Progress, TrainingRun

SAMPLE = 1 << 15  # tokens of the training text to evaluate; at least one window
WORSE = 0.005  # share of the best validation loss by which the last must be higher to be worse
LATE = 0.9  # share of the steps; a best validation after it counts as one at the end
GAP = 0.03  # nats per token of validation loss above training loss that show overfitting


@dataclass(frozen=True, slots=True)
class Verdict:
    """Diagnosis of a run, with advice for the next one."""

    kind: Literal["overfitted", "diverged", "underused", "balanced"]
    seen: str
    advice: str


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first `length` windows of an epoch, which together contain parts of all streams."""

    epochs: Epochs
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Window:
        return self.epochs.window(index)


def judge(run: TrainingRun) -> Verdict | None:
    """Diagnose a run by the loss of the trained weights on the training and validation texts.

    Losses recorded during training cannot be used, because they are those of a model with dropout.

    Returns None if nothing was held out, or if no validation loss was finite.
    """
    if run.progress.best_nats is None or run.progress.raw_nats is None:
        return None
    learner, config = run.learner, run.learner.config
    count = max(1, SAMPLE // (config.batch_size * config.bptt))
    sample = Beginning(learner.windows, min(len(learner.windows), count))
    training_nats = estimate_nats(learner.model, sample, config.precision)
    return compare(run.progress, training_nats, run.progress.step / learner.steps_per_epoch)


def compare(progress: Progress, training_nats: float, num_epochs: float) -> Verdict:
    """Return the diagnosis of a run by its validations and its loss on the training text.

    Args:
        progress: of the finished run, with at least one finite validation loss.
        training_nats: loss on the training text without dropout, in nats per token.
        num_epochs: length of the run, for the advice.
    """
    assert progress.best_nats is not None and progress.raw_nats is not None
    assert progress.nats is not None
    longer = f"--epochs {math.ceil(2 * num_epochs):,}"
    gap = progress.raw_nats - training_nats
    got_worse = not progress.nats <= progress.best_nats * (1 + WORSE)
    if got_worse and progress.best_step < LATE * progress.step:
        since = f"after step {progress.best_step:,} of {progress.step:,}"
        if not gap >= GAP or not math.isfinite(gap):
            return Verdict(
                "diverged",
                f"{since} both training and validation got worse; the weights of that step were "
                "kept",
                "lower --learning-rate",
            )
        return Verdict(
            "overfitted",
            f"{since} it learnt the text by heart and validation got worse; the weights of that "
            "step were kept",
            "train for a shorter time, with more --dropout or --weight-dropout, with a smaller "
            "--hidden-size, or on more text",
        )
    if gap < GAP:
        return Verdict(
            "underused",
            "validation is no worse than training: the text has more to teach",
            f"train for longer ({longer}), with a larger --hidden-size, or with less --dropout",
        )
    return Verdict(
        "balanced",
        f"validation is {gap:.2f} nats above training, and did not get worse towards the end",
        f"train for longer with more dropout ({longer}), or on more text",
    )
