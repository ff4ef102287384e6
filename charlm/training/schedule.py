"""Learning rates: linear warm-up, then a way down."""

import math

from charlm.training.config import TrainingConfig

DECAY_SHARE = 0.3  # Hägele et al. 2024: from a fifth on it is as good as a whole cosine
PLATEAU_FACTOR = 4.0


def decay_share(config: TrainingConfig) -> float:
    """Return the share of the steps, the last ones, over which "constant" falls to 0."""
    return DECAY_SHARE if config.decay_share is None else config.decay_share


def learning_rate(config: TrainingConfig, step: int) -> float:
    """The rate for step 0 .. steps-1; that of "plateau" is divided by `plateau_factor` besides."""
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
    """Half a cosine from 1 to 0 (Loshchilov & Hutter 2017, arXiv:1608.03983, one cycle)."""
    return 0.5 * (1 + math.cos(math.pi * step / steps))


def level_then_down(step: int, steps: int, share: float) -> float:
    """1, and over the last `share` of the steps a line to 0 (Hägele et al. 2024, arXiv:2405.18392).

    A share of 0 stays at 1.
    """
    return 1.0 if share == 0 else min(1.0, (steps - step) / (share * steps))


def plateau_factor(config: TrainingConfig) -> float:
    """What divides the rate after a validation that brings no new best; 1 for other schedules."""
    if config.schedule != "plateau":
        return 1.0
    return PLATEAU_FACTOR if config.plateau_factor is None else config.plateau_factor
