"""Dropout of whole features, whole embeddings and single recurrent weights."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

PLACES = 4  # of a mask that are drawn at once


def locked_dropout(x: Tensor, p: float) -> Tensor:
    """Drop features of x, (batch, time, feature), the same ones at every time step.

    What stays is scaled by 1 / (1 - p), so the expectation is x (Gal & Ghahramani 2016,
    arXiv:1512.05287; Merity et al. 2018, arXiv:1708.02182, sec. 4.2).
    """
    return keep(x, p, (x.shape[0], 1, x.shape[2]))


def embedding_dropout(vectors: Tensor, p: float) -> Tensor:
    """Drop whole rows of an embedding, (tokens, size): a word is gone wherever it stands.

    What stays is scaled by 1 / (1 - p) (Gal & Ghahramani 2016, sec. 4.2; Merity et al. 2018,
    sec. 4.3).
    """
    return keep(vectors, p, (len(vectors), 1))


def weight_dropout(weight: Tensor, p: float) -> Tensor:
    """Drop single weights, the same ones for a whole window.

    DropConnect (Wan et al. 2013) on hidden-to-hidden weights, what stays scaled by 1 / (1 - p)
    (Merity et al. 2018, sec. 2). The raw weights receive the gradients of those that stay.
    """
    return keep(weight, p, weight.shape)


def keep(x: Tensor, p: float, shape: Sequence[int]) -> Tensor:
    """x where a mask of this shape, broadcast over it, does not drop it; scaled by 1 / (1 - p).

    The scale is no part of the mask, which in bfloat16 would round it.
    """
    return x * draw_mask(shape, p, x.device) / (1 - p)


def draw_mask(shape: Sequence[int], p: float, device: torch.device) -> Tensor:
    """True with probability 1 - p, to a 65,536th, each place by itself.

    On a CPU one draw of 64 bits serves four places, seven times as fast as `bernoulli_`, which for
    a recurrent matrix takes a third of a step.
    """
    if device.type != "cpu":
        return torch.rand(shape, device=device) >= p
    count = math.prod(shape)
    draws = torch.empty(-(-count // PLACES), dtype=torch.int64).random_(-(2**63), None)
    lowest = min(round(p * 2**16), 2**16 - 1) - 2**15  # of 16 bits, as a signed number
    return draws.view(torch.int16)[:count].view(*shape) >= lowest


class Dropout(nn.Module):
    """Something dropped with probability p in [0, 1) while training, nothing in evaluation."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    @property
    def is_active(self) -> bool:
        """Whether anything is dropped now."""
        return self.training and self.p > 0

    def extra_repr(self) -> str:
        return f"p={self.p}"


class LockedDropout(Dropout):
    """`locked_dropout` while training."""

    def forward(self, x: Tensor) -> Tensor:
        return locked_dropout(x, self.p) if self.is_active else x


class EmbeddingDropout(Dropout):
    """`embedding_dropout` while training."""

    def forward(self, vectors: Tensor) -> Tensor:
        return embedding_dropout(vectors, self.p) if self.is_active else vectors


class WeightDropout(Dropout):
    """`weight_dropout` while training."""

    def forward(self, weight: Tensor) -> Tensor:
        return weight_dropout(weight, self.p) if self.is_active else weight
