"""Learning rates: linear warm-up, then a cosine down to the planned end."""

import math

from charlm.training.config import TrainingConfig


def learning_rate(config: TrainingConfig, step: int) -> float:
    """The rate for step 0 .. steps-1 (Loshchilov & Hutter 2017, arXiv:1608.03983, one cycle)."""
    warm = min(1.0, (step + 1) / (config.warmup_steps + 1))
    cosine = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    return config.learning_rate * warm * cosine
