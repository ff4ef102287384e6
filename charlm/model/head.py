"""From hidden vectors to a loss or to log-probabilities."""

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

IGNORED = -100  # targets that are not predicted: <start> and padding


class SoftmaxHead(nn.Module):
    """The full softmax: log P = log softmax(W h + b), W of shape (vocab_size, hidden_size)."""

    def __init__(self, hidden_size: int, vocab_size: int) -> None:
        super().__init__()
        self.projection = nn.Linear(hidden_size, vocab_size)
        nn.init.zeros_(self.projection.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Logits: (..., hidden_size) to (..., vocab_size), in float32 for the softmax's sake."""
        logits: Tensor = self.projection(hidden)
        return logits.float()

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Mean nats per predicted target; hidden is (..., hidden_size), targets (...)."""
        predicted = (targets != IGNORED).sum().clamp(min=1)
        return self.nats(hidden, targets).sum() / predicted

    def nats(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Surprisal of each target in nats, the shape of `targets`; 0 where it is ignored."""
        logits = self(hidden)
        nats = cross_entropy(
            logits.reshape(-1, logits.shape[-1]),
            targets.reshape(-1),
            ignore_index=IGNORED,
            reduction="none",
        )
        return nats.view(targets.shape)
