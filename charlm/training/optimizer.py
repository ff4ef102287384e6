"""Optimizers over a model's weights, and their state as named tensors."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from charlm.errors import CheckpointError
from charlm.training.config import TrainingConfig

PREFIX = "optimizer."
RECURRENT = "body.stack."  # names of the weights of the recurrent layers
STATES: dict[type[torch.optim.Optimizer], tuple[str, ...]] = {
    torch.optim.AdamW: ("step", "exp_avg", "exp_avg_sq"),
    torch.optim.SGD: (),  # without momentum
    torch.optim.Muon: ("momentum_buffer",),
}
FUSED_DEVICES = ("cpu", "cuda")


class Optimizer:
    """One or two torch optimizers that together update all weights, with one learning rate."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self._parts = parts

    def zero_grad(self) -> None:
        for part in self._parts:
            part.zero_grad()

    def step(self, learning_rate: float) -> None:
        """Update every weight that has a gradient."""
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = learning_rate
            part.step()

    def tensors(self) -> dict[str, Tensor]:
        """Return the state, not copied, as `optimizer.{weight}.{name}`.

        Weights are numbered across all parts.
        """
        tensors: dict[str, Tensor] = {}
        first = 0
        for part in self._parts:
            for index, entry in part.state_dict()["state"].items():
                for name, tensor in entry.items():
                    tensors[f"{PREFIX}{first + index}.{name}"] = tensor
            first += len(weights_of(part))
        return tensors

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of `tensors` after an update of every weight, without the prefix."""
        shapes: dict[str, tuple[int, ...]] = {}
        first = 0
        for part in self._parts:
            for index, weight in enumerate(weights_of(part), first):
                for name in STATES[type(part)]:
                    shapes[f"{index}.{name}"] = () if name == "step" else tuple(weight.shape)
            first += len(weights_of(part))
        return shapes

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the state that `tensors` returned; other names are ignored.

        Raises:
            CheckpointError: a tensor does not have the shape of its weight.
        """
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            if key.startswith(PREFIX):
                index, name = key.removeprefix(PREFIX).split(".")
                state.setdefault(int(index), {})[name] = tensor.clone()
        first = 0
        for part in self._parts:
            weights = weights_of(part)
            own = {i: state[first + i] for i in range(len(weights)) if first + i in state}
            for i, entry in own.items():
                check_shapes(entry, weights[i])
            part.load_state_dict({**part.state_dict(), "state": own})
            first += len(weights)


def weights_of(part: torch.optim.Optimizer) -> list[Tensor]:
    """Return the weights that an optimizer updates, in the order of its state."""
    return [weight for group in part.param_groups for weight in group["params"]]


def check_shapes(entry: Mapping[str, Tensor], weight: Tensor) -> None:
    """Check that the state of a weight has its shape; a fused kernel would read past the end.

    Raises:
        CheckpointError: a tensor does not have the shape of the weight.
    """
    for name, tensor in entry.items():
        if tensor.shape != (() if name == "step" else weight.shape):
            raise CheckpointError(
                f"the saved state of the optimiser does not fit the model: {name} is "
                f"{tuple(tensor.shape)} for a weight of {tuple(weight.shape)}; start a new run."
            )


def make_optimizer(model: nn.Module, config: TrainingConfig) -> Optimizer:
    """Return the configured optimizer; weight decay applies to matrices, never to biases.

    - "adamw": Loshchilov & Hutter 2019, arXiv:1711.05101.
    - "sgd": without momentum, weight decay in the gradient (Merity et al. 2018, arXiv:1708.02182).
    - "muon": Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon) for the matrices of the
      recurrent layers, AdamW for embeddings, head and biases. Muon's updates are scaled to the
      size of AdamW's (Liu et al. 2025, arXiv:2502.16982), so that one learning rate suits both.
    """
    named = dict(model.named_parameters())
    if config.optimizer != "muon":
        return Optimizer(elementwise(named.values(), config))
    hidden = {n: w for n, w in named.items() if n.startswith(RECURRENT) and w.ndim == 2}
    muon = torch.optim.Muon(
        hidden.values(),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    return Optimizer(muon, elementwise([named[n] for n in named if n not in hidden], config))


def elementwise(
    weights: Iterable[nn.Parameter], config: TrainingConfig
) -> torch.optim.AdamW | torch.optim.SGD:
    """Return AdamW or SGD over the weights, with fused kernels where torch supports them."""
    weights = list(weights)
    groups: list[dict[str, Any]] = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [w for w in weights if w.ndim == 1], "weight_decay": 0.0},
    ]
    kind = torch.optim.SGD if config.optimizer == "sgd" else torch.optim.AdamW
    fused = all(weight.device.type in FUSED_DEVICES for weight in weights)
    return kind(groups, lr=config.learning_rate, fused=fused or None)


def clip_gradients(model: nn.Module, config: TrainingConfig) -> Tensor:
    """Clip the gradients as configured, and return their total norm before clipping.

    The norm is a scalar tensor on the device of the gradients.
    """
    parameters = list(model.parameters())
    limit = float("inf") if config.clip_norm is None else config.clip_norm
    norm = nn.utils.clip_grad_norm_(parameters, limit)
    if config.clip_value is not None:
        nn.utils.clip_grad_value_(parameters, config.clip_value)
    return norm
