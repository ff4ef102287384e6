"""Settings of a training run."""

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
MAX_COUNT = 2**31 - 1  # of any count, so that the product of two fits in 64 bits
MAX_WINDOWS = 2**16  # per step; they are in memory at the same time
BELONGS_TO = {  # settings that only have an effect with one value of another setting
    "decay_share": ("schedule", "constant"),
    "plateau_factor": ("schedule", "plateau"),
    "average_decay": ("averaging", "ema"),
    "average_share": ("averaging", "tail"),
    "trigger_interval": ("averaging", "triggered"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """Settings of one training run. A step is an optimizer step on `accumulation_steps` windows.

    For a setting whose comment names a module, None selects the default of that module. A setting
    of `BELONGS_TO` must be None where it has no effect.

    Raises:
        ConfigError: a value is out of range, or settings contradict each other.
    """

    steps: int
    batch_size: int = 32
    bptt: int = 64  # tokens per window, the limit of backpropagation through time
    variable_bptt: bool = False  # window lengths drawn around bptt: Merity et al. 2018, sec. 4.1
    state_reset: float = 0.0  # probability, per stream and window: Melis et al. 2020
    partial_shuffle: bool = False  # rotate each stream randomly in each epoch: Press 2019
    accumulation_steps: int = 1  # windows per step
    optimizer: OptimizerName = "adamw"
    learning_rate: float = 5e-3  # peak
    warmup_steps: int = 100
    schedule: ScheduleName = "cosine"
    decay_share: float | None = None  # final share of steps where "constant" decays: schedule.py
    plateau_factor: float | None = None  # divisor of the rate of "plateau": schedule.py
    weight_decay: float = 0.01  # on matrices: Loshchilov & Hutter 2019
    activation_penalty: float = 0.0  # AR, on large outputs: Merity et al. 2017
    temporal_activation_penalty: float = 0.0  # TAR, on fast changes: Merity et al. 2017
    clip_norm: float | None = 1.0  # maximum norm of all gradients: Pascanu et al. 2013
    clip_value: float | None = None  # maximum absolute value of an element: Graves 2013
    averaging: AveragingName = "none"  # of the weights
    average_decay: float | None = None  # per step, for "ema": averaging.py
    average_share: float | None = None  # final share of the steps, for "tail": averaging.py
    trigger_interval: int | None = None  # in validations, for "triggered": averaging.py
    valid_every: int = 100  # steps between validations
    patience: int | None = None  # validations without a new best before the run stops
    embeddings: str | None = None  # file of initial embeddings: GloVe's, word2vec's
    freeze_embeddings: bool = False  # do not update them
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
    """Return the command-line option of a setting."""
    return f"--{name.replace('_', '-')}"
