"""How long a training step takes on this machine."""

import statistics
import time

import numpy as np
import torch

from charlm.data import Windows, make_windows
from charlm.device import synchronize
from charlm.model import LanguageModel, ModelConfig
from charlm.training.config import TrainingConfig
from charlm.training.learner import Learner

WARM_UP_STEPS = 5  # kernels are chosen, memory is taken, clocks rise
MEASURE_SECONDS = 3.0


def measure_step(model: ModelConfig, training: TrainingConfig, device: torch.device) -> float:
    """Seconds that a training step takes, on random tokens and a model that is thrown away."""
    with torch.random.fork_rng(devices=[]):
        windows = random_windows(model, training)
        learner = Learner(LanguageModel(model).to(device), windows, training)
        for _ in range(WARM_UP_STEPS):
            learner.advance()
        times: list[float] = []
        while sum(times) < MEASURE_SECONDS or len(times) < 3:
            synchronize(device)
            start = time.perf_counter()
            learner.advance()
            synchronize(device)
            times.append(time.perf_counter() - start)
        return statistics.median(times)  # one slow moment does not count


def random_windows(model: ModelConfig, training: TrainingConfig) -> Windows:
    """A few full windows of random tokens."""
    tokens = np.random.default_rng(0).integers(
        0, model.vocab_size, 4 * training.batch_size * training.bptt + 1, dtype=np.uint32
    )
    return make_windows(
        tokens,
        batch_size=training.batch_size,
        bptt=training.bptt,
        start_id=model.vocab_size,  # none
        independent_frames=False,
    )
