"""Everything that changes as a model learns, and the step that changes it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from charlm.checkpoint import load_weights, model_weights
from charlm.data import Windows
from charlm.device import autocast
from charlm.model import LanguageModel, State, detach_state
from charlm.training.config import TrainingConfig
from charlm.training.optimizer import (
    clip_gradients,
    load_optimizer,
    make_optimizer,
    optimizer_tensors,
)
from charlm.training.schedule import learning_rate


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of training saw."""

    step: int  # steps taken, this one included
    loss: float  # nats per predicted token of its window
    grad_norm: float  # before clipping
    learning_rate: float
    num_tokens: int  # predicted in its window

    @property
    def is_finite(self) -> bool:
        """Whether the step could be taken; if not, the weights are as before."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


class Learner:
    """A model, its optimiser, the carried state, the random numbers and the place in the data.

    The place is `step` itself: window `step % len(windows)` comes next. All of it goes into
    tensors and comes back from them exactly, so a run can be continued as if never stopped.
    """

    def __init__(self, model: LanguageModel, windows: Windows, config: TrainingConfig) -> None:
        self.model = model
        self.windows = windows
        self.config = config
        self.optimizer = make_optimizer(model, config)
        self.state: State | None = None
        self.step = 0
        self.rate_scale = 1.0  # halved after a loss that is not finite

    def advance(self) -> Step:
        """Learn from the next window: forward, backward, clip, update."""
        model, device = self.model.train(), self.model.device
        window = self.windows[self.step % len(self.windows)]
        inputs = torch.from_numpy(window.inputs).to(device)
        targets = torch.from_numpy(window.targets).to(device)
        rate = learning_rate(self.config, self.step) * self.rate_scale
        with autocast(device, self.config.precision):
            state = model.carry_state(self.state, window.fresh)
            loss, state = model.loss(inputs, targets, state)
        self.optimizer.zero_grad()
        loss.backward()
        norm = clip_gradients(model, self.config)
        step = Step(self.step + 1, loss.item(), norm, rate, int((window.targets >= 0).sum()))
        if step.is_finite:
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.optimizer.step()
            self.state = detach_state(state)
            self.step += 1
        return step

    def tensors(self) -> dict[str, Tensor]:
        """All that changes, but `step` and `rate_scale`, by name; copies, on their device."""
        state = self.state or ()
        tensors = {
            **{f"model.{name}": weight for name, weight in model_weights(self.model).items()},
            **optimizer_tensors(self.optimizer),
            **{f"state.{i}.{j}": t for i, layer in enumerate(state) for j, t in enumerate(layer)},
            "random.cpu": torch.get_rng_state(),
        }
        if self.model.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.model.device)
        if self.model.device.type == "mps":
            tensors["random.mps"] = torch.mps.get_rng_state()
        return {name: tensor.clone() for name, tensor in tensors.items()}

    def load_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Go back to what `tensors` gave."""
        device = self.model.device
        weights = {k.removeprefix("model."): t for k, t in tensors.items() if k[:6] == "model."}
        load_weights(self.model, weights)
        load_optimizer(self.optimizer, tensors)
        layers: dict[int, list[Tensor]] = {}
        for key in sorted(key for key in tensors if key.startswith("state.")):
            layers.setdefault(int(key.split(".")[1]), []).append(tensors[key].to(device))
        self.state = tuple(tuple(layers[i]) for i in sorted(layers)) or None
        torch.set_rng_state(tensors["random.cpu"].cpu())
        if device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"].cpu(), device)
        if device.type == "mps" and "random.mps" in tensors:
            torch.mps.set_rng_state(tensors["random.mps"].cpu())
