"""Everything that changes as a model learns, and the step that changes it."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charlm.checkpoint import load_weights, model_weights
from charlm.data import Epochs, Window
from charlm.device import autocast, to_device
from charlm.model import LanguageModel, State, detach_state
from charlm.training.averaging import WeightAverage
from charlm.training.config import TrainingConfig
from charlm.training.optimizer import clip_gradients, make_optimizer
from charlm.training.penalties import penalty
from charlm.training.schedule import learning_rate


@dataclass(frozen=True, slots=True)
class Step:
    """What one step of training saw."""

    step: int  # steps taken, this one included
    loss: float  # nats per predicted token of its windows, without penalties
    grad_norm: float  # before clipping
    learning_rate: float
    num_tokens: int  # predicted in its windows

    @property
    def is_finite(self) -> bool:
        """Whether the step made sense; if not, it has spoilt the weights."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


@dataclass(frozen=True, slots=True)
class Batch:
    """A window on its way to the device."""

    window: Window
    inputs: Tensor  # (batch_size, time)
    targets: Tensor  # (batch_size, time)
    num_tokens: int  # predicted


class Learner:
    """A model, its optimiser, the carried state, the random numbers and the place in the data.

    The place is `step` itself: windows `step * accumulation_steps` and on come next. All of it goes
    into tensors and comes back from them exactly, so a run can be continued as if never stopped.
    """

    def __init__(self, model: LanguageModel, windows: Epochs, config: TrainingConfig) -> None:
        self.model = model
        self.windows = windows
        self.config = config
        if config.freeze_embeddings and model.body.embedding is not None:
            model.body.embedding.requires_grad_(False)
        self.optimizer = make_optimizer(model, config)
        self.average = WeightAverage(config)
        self.state: State | None = None
        self.step = 0
        self.rate_scale = 1.0  # halved after a loss that is not finite, less on a plateau
        self._ahead: dict[int, Batch] = {}  # of the next step, by number

    @property
    def steps_per_epoch(self) -> float:
        """Optimiser steps that go once through the text; a mean where windows vary in length."""
        return len(self.windows) / self.config.accumulation_steps

    def plan_steps(self, steps: int) -> None:
        """So many there will be in all: rates and averages go by it from now on."""
        self.config = self.average.config = replace(self.config, steps=steps)

    def advance(self) -> Step:
        """Take one step."""
        return self.take_steps(1)[0]

    def take_steps(self, count: int) -> list[Step]:
        """Take so many steps, then look at what they saw.

        A device that works on its own is waited for once, at the end. So a step that is not finite
        has been taken too, and has spoilt the weights: go back by `load_tensors`.
        """
        taken = [self._take_step() for _ in range(count)]
        seen = torch.stack([numbers for _, numbers in taken]).tolist()
        return [
            replace(step, loss=loss, grad_norm=norm)
            for (step, _), (loss, norm) in zip(taken, seen, strict=True)
        ]

    def _take_step(self) -> tuple[Step, Tensor]:
        """Learn from the next windows: forward, backward, clip, update.

        Loss and norm of gradients are on the device, (2,), and not in the step yet.
        """
        batches = [self._fetch(number) for number in self._numbers(self.step)]
        rate = self._learning_rate(batches)
        num_tokens = sum(batch.num_tokens for batch in batches)
        self.optimizer.zero_grad()
        losses = []
        for batch in batches:
            losses.append(self._learn(batch, batch.num_tokens / max(1, num_tokens)))
        norm = clip_gradients(self.model, self.config)
        self.optimizer.step(rate)
        self.step += 1
        self.average.take_step(self.model, self.step)
        # While a GPU works, the next windows are read.
        self._ahead = {number: self._load(number) for number in self._numbers(self.step)}
        numbers = torch.stack([torch.stack(losses).sum(), norm.float()])
        return Step(self.step, math.nan, math.nan, rate, num_tokens), numbers

    def tensors(self) -> dict[str, Tensor]:
        """All that changes, but `step` and `rate_scale`, by name; copies, on their device."""
        state = self.state or ()
        tensors = {
            **{f"model.{name}": weight for name, weight in model_weights(self.model).items()},
            **self.optimizer.tensors(),
            **self.average.tensors(),
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
        self.optimizer.load_tensors(tensors)
        self.average.load_tensors(tensors, device)
        layers: dict[int, list[Tensor]] = {}
        for key in sorted(key for key in tensors if key.startswith("state.")):
            layers.setdefault(int(key.split(".")[1]), []).append(tensors[key].to(device))
        self.state = tuple(tuple(layers[i]) for i in sorted(layers)) or None
        torch.set_rng_state(tensors["random.cpu"].cpu())
        if device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"].cpu(), device)
        if device.type == "mps" and "random.mps" in tensors:
            torch.mps.set_rng_state(tensors["random.mps"].cpu())

    def _numbers(self, step: int) -> range:
        """Which windows the step after `step` steps takes."""
        count = self.config.accumulation_steps
        return range(step * count, (step + 1) * count)

    def _fetch(self, number: int) -> Batch:
        return self._ahead.pop(number, None) or self._load(number)

    def _load(self, number: int) -> Batch:
        window, device = self.windows.window(number), self.model.device
        return Batch(
            window,
            to_device(window.inputs, device),
            to_device(window.targets, device),
            int((window.targets >= 0).sum()),
        )

    def _learning_rate(self, batches: list[Batch]) -> float:
        rate = learning_rate(self.config, self.step) * self.rate_scale
        if self.config.variable_bptt:
            # Of short windows a step would else make too much: Merity et al. 2018, sec. 4.1.
            rate *= float(np.mean([batch.inputs.shape[1] for batch in batches])) / self.config.bptt
        return rate

    def _fresh(self, window: Window) -> NDArray[np.bool_]:
        """The rows that start anew, those among them that forget where they are by chance."""
        if not self.config.state_reset:
            return window.fresh
        forgets: NDArray[np.bool_] = torch.rand(len(window.fresh)).numpy() < self.config.state_reset
        return window.fresh | forgets

    def _learn(self, batch: Batch, share: float) -> Tensor:
        """Add the gradients of one window, which has `share` of the step's tokens, and go past it.

        Returns its share of the step's loss.
        """
        model, config = self.model.train(), self.config
        with autocast(model.device, config.precision):
            state = model.carry_state(self.state, self._fresh(batch.window), batch.window.labels)
            if config.activation_penalty or config.temporal_activation_penalty:
                raw, dropped, state = model.body.activations(batch.inputs, state)
                loss = model.head.loss(dropped, batch.targets)
                objective = loss + penalty(raw, dropped, config)
            else:
                loss, state = model.loss(batch.inputs, batch.targets, state)
                objective = loss
        (objective * share).backward()
        self.state = detach_state(state)
        return loss.detach() * share
