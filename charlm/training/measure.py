"""Measurement of the duration of a training step on this machine."""

import time
from dataclasses import replace

import torch

from charlm.data import Epochs
from charlm.device import synchronize
from charlm.model import LanguageModel, ModelConfig
from charlm.training.config import TrainingConfig
from charlm.training.learner import Learner

WARM_UP_STEPS = 5  # torch chooses kernels and allocates memory; clock rates rise
MIN_STEPS = 3
MAX_SECONDS = 10.0  # a longer measurement is no better


def measure_step(
    model: ModelConfig,
    training: TrainingConfig,
    epochs: Epochs,
    device: torch.device,
    seconds: float = MAX_SECONDS,
) -> float:
    """Return the mean seconds per training step on these windows, with a temporary model.

    At least `MIN_STEPS` steps are measured, for `seconds` or `MAX_SECONDS`, whichever is less. The
    result is the mean and not the median, because slow moments will also occur in the run.
    """
    with torch.random.fork_rng(devices=[]):
        # Only "plateau" has a rate for any step; the other schedules end with the last step.
        endless = replace(training, schedule="plateau", decay_share=None)
        learner = Learner(LanguageModel(model).to(device), epochs, endless)
        for _ in range(WARM_UP_STEPS):
            learner.advance()
        synchronize(device)
        start = time.perf_counter()
        steps, taken = 0, 0.0
        while taken < min(seconds, MAX_SECONDS) or steps < MIN_STEPS:
            learner.advance()
            steps, taken = steps + 1, time.perf_counter() - start
        return taken / steps
