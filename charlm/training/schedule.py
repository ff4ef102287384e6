"""Learning rate schedules: linear warmup, then decay."""

import math

from charlm.training.config import TrainingConfig

DECAY_SHARE = 0.3  # Hägele et al. 2024: a fifth or more is as good as a full cosine
PLATEAU_FACTOR = 4.0


def decay_share(config: TrainingConfig) -> float:
    """Return the final share of the steps over which the rate of "constant" decays to 0."""
    return DECAY_SHARE if config.decay_share is None else config.decay_share


def learning_rate(config: TrainingConfig, step: int) -> float:
    """Return the learning rate for a step in 0 .. steps-1.

    For "plateau", division by `plateau_factor` is not included.
    """
    warm = min(1.0, (step + 1) / (config.warmup_steps + 1))
    match config.schedule:
        case "cosine":
            height = cosine(step, config.steps)
        case "constant":
            height = level_then_down(step, config.steps, decay_share(config))
        case "plateau":
            height = 1.0
    return config.learning_rate * warm * height


def cosine(step: int, steps: int) -> float:
    """Return half a cosine from 1 to 0 (Loshchilov & Hutter 2017, arXiv:1608.03983, one cycle)."""
    return 0.5 * (1 + math.cos(math.pi * step / steps))


def level_then_down(step: int, steps: int, share: float) -> float:
    """Return 1, with a linear decay to 0 over the last `share` of the steps.

    Hägele et al. 2024, arXiv:2405.18392. With a share of 0 there is no decay.
    """
    return 1.0 if share == 0 else min(1.0, (steps - step) / (share * steps))


def plateau_factor(config: TrainingConfig) -> float:
    """Return the divisor of the rate after a validation without a new best; 1 unless "plateau"."""
    if config.schedule != "plateau":
        return 1.0
    return PLATEAU_FACTOR if config.plateau_factor is None else config.plateau_factor
