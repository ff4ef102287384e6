"""How long a training step takes on this machine."""

import time
from dataclasses import replace

import torch

from charlm.data import Epochs
from charlm.device import synchronize
from charlm.model import LanguageModel, ModelConfig
from charlm.training.config import TrainingConfig
from charlm.training.learner import Learner

WARM_UP_STEPS = 5  # kernels are chosen, memory is taken, clocks rise
MIN_STEPS = 3
MAX_SECONDS = 10.0  # of measuring: more tells no more


def measure_step(
    model: ModelConfig,
    training: TrainingConfig,
    epochs: Epochs,
    device: torch.device,
    seconds: float = MAX_SECONDS,
) -> float:
    """Mean seconds that a training step takes on these windows, with a model that is thrown away.

    `MIN_STEPS` steps at the least are measured, for so many seconds or `MAX_SECONDS`. The mean and
    not the median: slow moments will come again, and a run has to pay for them.
    """
    with torch.random.fork_rng(devices=[]):
        # The one schedule with a rate for any step: the others end with the steps.
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
