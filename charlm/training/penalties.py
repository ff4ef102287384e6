"""Penalties on the output of the last recurrent layer (Merity et al. 2017, arXiv:1708.01009)."""

import torch
from torch import Tensor

from charlm.training.config import TrainingConfig


def penalty(raw: Tensor, dropped: Tensor, config: TrainingConfig) -> Tensor:
    """Return alpha * AR + beta * TAR, a float32 scalar to add to the loss.

    Args:
        raw: the last layer's output before dropout, (batch, time, size).
        dropped: the same output after dropout, (batch, time, size).
        config: alpha is `activation_penalty`, beta is `temporal_activation_penalty`.
    """
    total = raw.new_zeros((), dtype=torch.float32)
    if config.activation_penalty:
        total = total + config.activation_penalty * activation(dropped)
    if config.temporal_activation_penalty:
        total = total + config.temporal_activation_penalty * temporal_activation(raw)
    return total


def activation(dropped: Tensor) -> Tensor:
    """Return AR, the mean of h**2, which favours small outputs."""
    return dropped.float().square().mean()


def temporal_activation(raw: Tensor) -> Tensor:
    """Return TAR, the mean of (h_t - h_(t-1))**2, which favours slow changes.

    It is 0 for a window of one token.
    """
    change = raw[:, 1:].float() - raw[:, :-1].float()
    return change.square().sum() / max(1, change.numel())
