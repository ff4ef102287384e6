"""Heads: from hidden vectors to a loss or to logits."""

from typing import Protocol

from torch import Tensor, nn

from charlm.model.cross_entropy import linear_cross_entropy, linear_nats, logits


class Head(Protocol):
    """Interface of heads: a distribution over the vocabulary for each hidden vector.

    `nats(hidden, targets)` is `-forward(hidden).log_softmax(-1)` at the targets, and `loss` is its
    mean over the targets that are predicted.
    """

    projection: nn.Linear
    """A row for each word, (vocab_size, hidden_size), which may be the embedding's too."""

    def __call__(self, hidden: Tensor) -> Tensor:
        """Return logits (..., vocab_size) in float32; hidden is (..., hidden_size)."""
        ...

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return mean nats per predicted target; hidden is (..., hidden_size), targets (...)."""
        ...

    def nats(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return the surprisal of each target in nats, shaped like `targets`; 0 where ignored."""
        ...


class SoftmaxHead(nn.Module):
    """Full softmax: log P = log softmax(W h + b), W of shape (vocab_size, hidden_size)."""

    def __init__(self, hidden_size: int, vocab_size: int) -> None:
        super().__init__()
        self.projection = nn.Linear(hidden_size, vocab_size)
        nn.init.zeros_(self.projection.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return logits (..., vocab_size) in float32, which the softmax needs.

        hidden is (..., hidden_size).
        """
        return logits(hidden, self.projection.weight, self.projection.bias).float()

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return mean nats per predicted target; hidden is (..., hidden_size), targets (...)."""
        weight, bias = self.projection.weight, self.projection.bias
        rows = hidden.reshape(-1, hidden.shape[-1])
        return linear_cross_entropy(rows, weight, bias, targets.flatten())

    def nats(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return the surprisal of each target in nats, shaped like `targets`; 0 where ignored."""
        weight, bias = self.projection.weight, self.projection.bias
        rows = hidden.reshape(-1, hidden.shape[-1])
        return linear_nats(rows, weight, bias, targets.flatten()).view(targets.shape)
