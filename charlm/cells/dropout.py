"""Locked (variational) dropout: one mask for all time steps."""

from torch import Tensor, nn


def locked_dropout(x: Tensor, p: float) -> Tensor:
    """Drop features of x, (batch, time, feature), the same ones at every time step.

    What stays is scaled by 1 / (1 - p), so the expectation is x (Gal & Ghahramani 2016,
    arXiv:1512.05287; Merity et al. 2018, arXiv:1708.02182, sec. 4.2).
    """
    mask = x.new_empty(x.shape[0], 1, x.shape[2]).bernoulli_(1 - p).div_(1 - p)
    return x * mask


class LockedDropout(nn.Module):
    """`locked_dropout` while training, nothing in evaluation. p is a probability in [0, 1)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return locked_dropout(x, self.p) if self.training and self.p > 0 else x

    def extra_repr(self) -> str:
        return f"p={self.p}"
