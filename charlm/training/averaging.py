"""An average of the weights over steps, kept in addition to the trained weights."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from charlm.checkpoint import load_weights, model_weights
from charlm.model import LanguageModel
from charlm.training.config import TrainingConfig

PREFIX = "average."  # of all tensor names
COUNT, VALIDATIONS, WEIGHTS = f"{PREFIX}count", f"{PREFIX}validations", f"{PREFIX}weights."
AVERAGE_DECAY = 0.999
AVERAGE_SHARE = 0.25
TRIGGER_INTERVAL = 5  # Merity et al. 2018, sec. 3


class WeightAverage:
    """The average of a model's weights over many steps (Polyak & Juditsky 1992).

    - "ema": an exponential moving average that begins with the first step. The weights of d steps
      ago count in proportion to `average_decay ** d`. The shares always add up to 1, so the
      untrained weights have no share.
    - "tail": the mean over the last `average_share` of all steps.
    - "triggered": the mean since the first validation that was worse than the best of those more
      than `trigger_interval` validations earlier. With plain SGD this is NT-ASGD (Merity et al.
      2018, arXiv:1708.02182, sec. 3), by the rule of the authors' program.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self._count = 0  # steps in the average
        self._means: dict[str, Tensor] = {}
        self._validations: list[float] = []  # nats per token, until averaging is triggered

    @property
    def has_begun(self) -> bool:
        """Return whether averaging has begun."""
        return self._count > 0

    def take_step(self, model: LanguageModel, step: int) -> None:
        """Add the weights after `step` steps to the average, if averaging has begun by then."""
        if self.has_begun or self._begins(step):
            self._take_in(model)

    def take_validation(self, model: LanguageModel, nats: float) -> None:
        """Record the validation loss of the trained weights, which may trigger averaging.

        Args:
            model: whose weights the average begins with, if it is triggered.
            nats: per token; a value that is not finite counts as infinite.
        """
        if self.config.averaging != "triggered" or self.has_begun:
            return
        nats = nats if math.isfinite(nats) else math.inf
        interval = self.config.trigger_interval or TRIGGER_INTERVAL
        earlier = self._validations[:-interval]
        self._validations.append(nats)
        if earlier and nats > min(earlier):
            self._take_in(model)

    @contextmanager
    def in_place(self, model: LanguageModel) -> Iterator[None]:
        """Load the average into the model, and restore its own weights exactly at the end."""
        own = {name: weight.clone() for name, weight in model_weights(model).items()}
        load_weights(model, self._means)
        try:
            yield
        finally:
            load_weights(model, own)

    def tensors(self) -> dict[str, Tensor]:
        """Return the state by name, not copied; parts that do not exist yet are omitted."""
        tensors = {f"{WEIGHTS}{name}": mean for name, mean in self._means.items()}
        if self._count:
            tensors[COUNT] = torch.tensor(self._count)
        if self._validations:
            tensors[VALIDATIONS] = torch.tensor(self._validations, dtype=torch.float64)
        return tensors

    def load_tensors(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        """Restore the state that `tensors` returned; other names are ignored."""
        self._count = int(tensors[COUNT]) if COUNT in tensors else 0
        self._validations = tensors[VALIDATIONS].tolist() if VALIDATIONS in tensors else []
        self._means = {
            name.removeprefix(WEIGHTS): mean.to(device, copy=True)
            for name, mean in tensors.items()
            if name.startswith(WEIGHTS)
        }

    def _begins(self, step: int) -> bool:
        match self.config.averaging:
            case "ema":
                return True
            case "tail":
                return step > self.config.steps - tail_steps(self.config)
            case _:
                return False

    def _take_in(self, model: LanguageModel) -> None:
        self._count += 1
        share = self._newest_share()
        for name, weight in model_weights(model).items():
            if name in self._means:
                self._means[name].lerp_(weight, share)
            else:
                self._means[name] = weight.clone()

    def _newest_share(self) -> float:
        """Return the share of the newest weights, such that all shares add up to 1."""
        if self.config.averaging == "ema":
            decay = self.config.average_decay or AVERAGE_DECAY
            return (1 - decay) / (1 - decay**self._count)
        return 1 / self._count


def tail_steps(config: TrainingConfig) -> int:
    """Return the number of final steps over which "tail" averages."""
    return max(1, round((config.average_share or AVERAGE_SHARE) * config.steps))
