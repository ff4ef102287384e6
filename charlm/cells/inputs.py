"""What comes into a recurrent layer over a window, in forms that save work."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor
from torch.nn.functional import embedding, linear, one_hot


@dataclass(frozen=True, slots=True)
class Lookup:
    """Few vectors that many steps share, and which of them each step takes."""

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
    """One-hot codes, of which only the place of the one is known: a product picks a column."""

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
    """Vectors written out."""

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
    """One part or several as several."""
    if isinstance(x, Tensor):
        return (Dense(x),)
    return x if isinstance(x, tuple) else (x,)


def dense(parts: Inputs) -> Tensor:
    """All parts side by side, (batch, time, input_size)."""
    tensors = [part.dense() for part in parts]
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim=-1)


def product(parts: Sequence[Part], weight: Tensor) -> Tensor:
    """`linear(dense(parts), weight)`, (batch, time, rows of weight)."""
    columns = weight.split([part.size for part in parts], dim=1)
    products = [part.product(own) for part, own in zip(parts, columns, strict=True)]
    return reduce(add, products)
