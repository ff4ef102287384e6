"""How a model is trained."""

from dataclasses import dataclass
from typing import Literal, get_args

from charlm.device import Precision
from charlm.errors import ConfigError

OptimizerName = Literal["adamw", "sgd", "muon"]
ScheduleName = Literal["cosine", "constant", "plateau"]
AveragingName = Literal["none", "ema", "tail", "triggered"]

CHOICES = {
    "optimizer": OptimizerName,
    "schedule": ScheduleName,
    "averaging": AveragingName,
    "precision": Precision,
}
MAX_COUNT = 2**31 - 1  # of anything: products of two are still numbers of 64 bits
MAX_WINDOWS = 2**16  # of a step, which are held in memory together
BELONGS_TO = {  # settings that have an effect with one choice only
    "decay_share": ("schedule", "constant"),
    "plateau_factor": ("schedule", "plateau"),
    "average_decay": ("averaging", "ema"),
    "average_share": ("averaging", "tail"),
    "trigger_interval": ("averaging", "triggered"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """One training run. Steps count optimiser steps, each of `accumulation_steps` windows.

    None leaves a setting to where it is used, which a comment names; where it has no effect it
    must be None.
    """

    steps: int
    batch_size: int = 32
    bptt: int = 64  # tokens a window and the farthest a gradient reaches
    variable_bptt: bool = False  # window lengths drawn around bptt: Merity et al. 2018, sec. 4.1
    state_reset: float = 0.0  # of a stream, its probability before a window: Melis et al. 2020
    partial_shuffle: bool = False  # each epoch starts elsewhere in each stream: Press 2019
    accumulation_steps: int = 1  # windows a step
    optimizer: OptimizerName = "adamw"
    learning_rate: float = 5e-3  # at its height
    warmup_steps: int = 100
    schedule: ScheduleName = "cosine"
    decay_share: float | None = None  # of the steps, at the end of "constant": schedule.py
    plateau_factor: float | None = None  # that divides the rate of "plateau": schedule.py
    weight_decay: float = 0.01  # on matrices: Loshchilov & Hutter 2019
    activation_penalty: float = 0.0  # AR, on large outputs: Merity et al. 2017
    temporal_activation_penalty: float = 0.0  # TAR, on outputs that change fast: the same
    clip_norm: float | None = 1.0  # of all gradients together: Pascanu et al. 2013
    clip_value: float | None = None  # of each gradient's elements: Graves 2013
    averaging: AveragingName = "none"  # of weights, beside those that learn
    average_decay: float | None = None  # a step, of "ema": averaging.py
    average_share: float | None = None  # of the steps, the last ones, for "tail": averaging.py
    trigger_interval: int | None = None  # validations, for "triggered": averaging.py
    valid_every: int = 100  # steps
    patience: int | None = None  # validations without a new best before stopping
    embeddings: str | None = None  # a file of vectors to begin with: GloVe's, word2vec's
    freeze_embeddings: bool = False
    seed: int = 1
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in get_args(choices):
                *others, last = get_args(choices)
                known = f"{', '.join(others)} or {last}"
                raise ConfigError(f"{name} must be {known}, not {getattr(self, name)!r}.")
        for name, (choice, needed) in BELONGS_TO.items():
            if getattr(self, name) is not None and getattr(self, choice) != needed:
                raise ConfigError(
                    f"{flag(name)} has no effect with {flag(choice)} {getattr(self, choice)}; "
                    f"choose {flag(choice)} {needed}, or leave it out."
                )
        self._check_ranges()

    def _check_ranges(self) -> None:
        for name in (
            "steps",
            "batch_size",
            "bptt",
            "accumulation_steps",
            "valid_every",
            "trigger_interval",
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}.")
            if value is not None and value > MAX_COUNT:
                raise ConfigError(f"{name} must be at most {MAX_COUNT:,}, not {value:,}.")
        if self.accumulation_steps > MAX_WINDOWS:
            raise ConfigError(
                f"accumulation_steps must be at most {MAX_WINDOWS:,}, not "
                f"{self.accumulation_steps:,}."
            )
        if not 0 < self.learning_rate < float("inf"):
            raise ConfigError(f"learning_rate must be above 0, not {self.learning_rate:g}.")
        for name in (
            "warmup_steps",
            "weight_decay",
            "activation_penalty",
            "temporal_activation_penalty",
        ):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be 0 or more, not {getattr(self, name)}.")
        if self.clip_norm is not None and self.clip_value is not None:
            raise ConfigError("--clip-norm and --clip-value exclude each other; choose one.")
        for name in ("clip_norm", "clip_value", "patience"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} must be above 0, not {value}.")
        if not 0 <= self.state_reset < 1:
            raise ConfigError(f"state_reset must be in [0, 1), not {self.state_reset:g}.")
        if self.decay_share is not None and not 0 <= self.decay_share <= 1:
            raise ConfigError(f"decay_share must be from 0 to 1, not {self.decay_share:g}.")
        if self.plateau_factor is not None and not 1 < self.plateau_factor < float("inf"):
            raise ConfigError(f"plateau_factor must be above 1, not {self.plateau_factor:g}.")
        if self.average_decay is not None and not 0 < self.average_decay < 1:
            raise ConfigError(f"average_decay must be between 0 and 1, not {self.average_decay:g}.")
        if self.average_share is not None and not 0 < self.average_share <= 1:
            raise ConfigError(
                f"average_share must be above 0 and at most 1, not {self.average_share:g}."
            )
        if self.freeze_embeddings and self.embeddings is None:
            raise ConfigError("--freeze-embeddings keeps vectors of a file; add --embeddings FILE.")
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed must be from 0 to 2 ** 63 - 1, not {self.seed}.")


def flag(name: str) -> str:
    """How the command line writes a setting's name."""
    return f"--{name.replace('_', '-')}"
