"""Inputs of a recurrent layer over a window, in forms that save computation."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor
from torch.nn.functional import embedding, linear, one_hot


@dataclass(frozen=True, slots=True)
class Lookup:
    """Vectors shared by many steps, and the index of the vector that each step takes."""

    vectors: Tensor  # (any, size)
    index: Tensor  # (batch, time), int64

    @property
    def size(self) -> int:
        return self.vectors.shape[1]

    def dense(self) -> Tensor:
        return self.vectors[self.index]

    def product(self, weight: Tensor) -> Tensor:
        return linear(self.vectors, weight)[self.index]


@dataclass(frozen=True, slots=True)
class OneHot:
    """One-hot codes stored as indices; a product with a weight selects its columns."""

    index: Tensor  # (batch, time), int64
    size: int

    def dense(self) -> Tensor:
        return one_hot(self.index, self.size).float()

    def product(self, weight: Tensor) -> Tensor:
        return embedding(self.index, weight.t())


@dataclass(frozen=True, slots=True)
class Held:
    """The same vectors at every step of a window."""

    vectors: Tensor  # (batch, size)
    time: int

    @property
    def size(self) -> int:
        return self.vectors.shape[1]

    def dense(self) -> Tensor:
        return self.vectors.unsqueeze(1).expand(-1, self.time, -1)

    def product(self, weight: Tensor) -> Tensor:
        return linear(self.vectors, weight).unsqueeze(1).expand(-1, self.time, -1)


@dataclass(frozen=True, slots=True)
class Dense:
    """A separate vector for each step."""

    vectors: Tensor  # (batch, time, size)

    @property
    def size(self) -> int:
        return self.vectors.shape[-1]

    def dense(self) -> Tensor:
        return self.vectors

    def product(self, weight: Tensor) -> Tensor:
        return linear(self.vectors, weight)


Part = Dense | Lookup | OneHot | Held
"""`dense()` is (batch, time, size), and `product(weight)` is `linear(dense(), weight)`."""

Inputs = tuple[Part, ...]
"""Parts that stand side by side."""


def as_inputs(x: "Tensor | Part | Inputs") -> Inputs:
    """Return a tensor, a part or a tuple of parts as a tuple of parts."""
    if isinstance(x, Tensor):
        return (Dense(x),)
    return x if isinstance(x, tuple) else (x,)


def dense(parts: Inputs) -> Tensor:
    """Concatenate all parts along the feature axis: (batch, time, input_size)."""
    tensors = [part.dense() for part in parts]
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim=-1)


def product(parts: Sequence[Part], weight: Tensor) -> Tensor:
    """Return `linear(dense(parts), weight)`, (batch, time, rows of weight)."""
    columns = weight.split([part.size for part in parts], dim=1)
    products = [part.product(own) for part, own in zip(parts, columns, strict=True)]
    return reduce(add, products)
