"""AdamW over a model's weights, and its state as named tensors."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from charlm.training.config import TrainingConfig

PREFIX = "optimizer."


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), decaying matrices but not biases."""
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state: `optimizer.{parameter index}.{name}`."""
    return {
        f"{PREFIX}{index}.{name}": tensor
        for index, entry in optimizer.state_dict()["state"].items()
        for name, tensor in entry.items()
    }


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith(PREFIX):
            index, name = key.removeprefix(PREFIX).split(".")
            state.setdefault(int(index), {})[name] = tensor.clone()
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def clip_gradients(model: nn.Module, config: TrainingConfig) -> float:
    """Clip as configured; the norm of all gradients together before clipping."""
    parameters = list(model.parameters())
    limit = float("inf") if config.clip_norm is None else config.clip_norm
    norm = nn.utils.clip_grad_norm_(parameters, limit)
    if config.clip_value is not None:
        nn.utils.clip_grad_value_(parameters, config.clip_value)
    return float(norm)
