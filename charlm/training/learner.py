"""Training state (weights, optimizer, RNG, hidden state) and one training step."""

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
    """Result of one training step."""

    step: int  # steps taken, including this one
    loss: float  # nats per predicted token of its windows, without penalties
    grad_norm: float  # before clipping
    learning_rate: float
    num_tokens: int  # predicted in its windows

    @property
    def is_finite(self) -> bool:
        """Return whether loss and gradient norm are finite; if not, the weights are corrupted."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


@dataclass(frozen=True, slots=True)
class Batch:
    """A window with its tensors on the device."""

    window: Window
    inputs: Tensor  # (batch_size, time)
    targets: Tensor  # (batch_size, time)
    num_tokens: int  # predicted


class Learner:
    """A model in training: weights, optimizer, hidden state, RNG and position in the data.

    The position is given by `step`: the next window is number `step * accumulation_steps`. The
    whole state can be saved as tensors and restored exactly, so a resumed run continues as if it
    had never stopped.
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
        self.rate_scale = 1.0  # halved after a non-finite loss, divided on a plateau
        self._ahead: dict[int, Batch] = {}  # prefetched for the next step, by window number

    @property
    def steps_per_epoch(self) -> float:
        """Optimizer steps per pass over the text; an average if windows vary in length."""
        return len(self.windows) / self.config.accumulation_steps

    def plan_steps(self, steps: int) -> None:
        """Set the total number of steps, which determines learning rates and averaging."""
        self.config = self.average.config = replace(self.config, steps=steps)

    def advance(self) -> Step:
        """Take one step."""
        return self.take_steps(1)[0]

    def take_steps(self, count: int) -> list[Step]:
        """Take `count` steps and return their results.

        The device is synchronized only once, at the end. A step with a non-finite loss has
        therefore already corrupted the weights; restore an earlier state with `load_tensors`.
        """
        taken = [self._take_step() for _ in range(count)]
        seen = torch.stack([numbers for _, numbers in taken]).tolist()
        return [
            replace(step, loss=loss, grad_norm=norm)
            for (step, _), (loss, norm) in zip(taken, seen, strict=True)
        ]

    def _take_step(self) -> tuple[Step, Tensor]:
        """Train on the next windows: forward, backward, clip, update.

        Returns:
            The step with nan for loss and gradient norm, and these two numbers as a tensor on the
            device, (2,).
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
        # The next windows are read while a GPU still computes.
        self._ahead = {number: self._load(number) for number in self._numbers(self.step)}
        numbers = torch.stack([torch.stack(losses).sum(), norm.float()])
        return Step(self.step, math.nan, math.nan, rate, num_tokens), numbers

    def tensors(self) -> dict[str, Tensor]:
        """Return copies of the state by name, on their devices; not `step` and `rate_scale`."""
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
        """Restore the state that `tensors` returned; the caller sets `step` and `rate_scale`."""
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
        """Return the numbers of the windows of the step that follows after `step` steps."""
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
            # A step on short windows would otherwise be too large: Merity et al. 2018, sec. 4.1.
            rate *= float(np.mean([batch.inputs.shape[1] for batch in batches])) / self.config.bptt
        return rate

    def _fresh(self, window: Window) -> NDArray[np.bool_]:
        """Return the rows whose state is reset, by the window or at random: (batch_size,)."""
        if not self.config.state_reset:
            return window.fresh
        forgets: NDArray[np.bool_] = torch.rand(len(window.fresh)).numpy() < self.config.state_reset
        return window.fresh | forgets

    def _learn(self, batch: Batch, share: float) -> Tensor:
        """Add the gradients of one window, and advance the hidden state past it.

        Args:
            batch: the window.
            share: of the step's predicted tokens, in [0, 1].

        Returns:
            The window's contribution to the step's loss, a scalar.
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
