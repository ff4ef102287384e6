"""How a model is trained."""

from dataclasses import dataclass
from typing import get_args

from charlm.device import Precision
from charlm.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """One training run. Steps count optimiser steps, one for each window."""

    steps: int
    batch_size: int = 32
    bptt: int = 64  # tokens a window and the farthest a gradient reaches
    learning_rate: float = 5e-3  # at its height
    warmup_steps: int = 100
    weight_decay: float = 0.01  # on matrices: Loshchilov & Hutter 2019
    clip_norm: float | None = 1.0  # of all gradients together: Pascanu et al. 2013
    clip_value: float | None = None  # of each gradient's elements: Graves 2013
    valid_every: int = 100  # steps
    patience: int | None = None  # validations without a new best before stopping
    seed: int = 1
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "bptt", "valid_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if not 0 < self.learning_rate < float("inf"):
            raise ConfigError(f"learning_rate must be above 0, not {self.learning_rate:g}.")
        for name in ("warmup_steps", "weight_decay"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be 0 or more, not {getattr(self, name)}.")
        if self.clip_norm is not None and self.clip_value is not None:
            raise ConfigError("--clip-norm and --clip-value exclude each other; choose one.")
        for name in ("clip_norm", "clip_value", "patience"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} must be above 0, not {value}.")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed must be from 0 to 2 ** 63 - 1, not {self.seed}.")
        if self.precision not in get_args(Precision):
            known = " or ".join(get_args(Precision))
            raise ConfigError(f"precision must be {known}, not {self.precision!r}.")
