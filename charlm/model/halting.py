"""Head with a halting unit: whether the text ends is predicted apart from the next token."""

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from charlm.model.cross_entropy import (
    IGNORED,
    at_least_float32,
    linear_cross_entropy,
    linear_nats,
    logits,
)

NEVER = -1e4  # added to a logit: probability 0 in any precision


class HaltingHead(nn.Module):
    """Bernoulli halting unit and softmax (Goodfellow et al. 2016, sec. 10.2.3).

        P(<stop>) = sigmoid(v h + c)
        P(w)      = (1 - P(<stop>)) softmax(W h + b)_w, a softmax over all tokens but <stop>

    Like every head, it gives a distribution over the whole vocabulary.
    """

    barred: Tensor

    def __init__(self, hidden_size: int, vocab_size: int, stop_id: int) -> None:
        super().__init__()
        self.projection = nn.Linear(hidden_size, vocab_size)
        nn.init.zeros_(self.projection.bias)
        self.halt = nn.Linear(hidden_size, 1)
        self.stop_id = stop_id
        barred = torch.zeros(vocab_size)
        barred[stop_id] = NEVER
        self.register_buffer("barred", barred, persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return log-probabilities (..., vocab_size) in float32; hidden is (..., hidden_size)."""
        words = logits(hidden, self.projection.weight, self._bias()).float().log_softmax(-1)
        halts = self.halt(hidden).float()
        log_probs = words - softplus(halts)
        log_probs[..., self.stop_id] = -softplus(-halts).squeeze(-1)
        return log_probs

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return mean nats per predicted target; hidden is (..., hidden_size), targets (...)."""
        words = self._words(targets)
        rows = hidden.reshape(-1, hidden.shape[-1])
        of_words = linear_cross_entropy(rows, self.projection.weight, self._bias(), words.flatten())
        count, predicted = (words != IGNORED).sum(), (targets != IGNORED).sum().clamp(min=1)
        of_halts = self._halt_nats(hidden, targets).sum()
        return (of_words * count + of_halts) / predicted

    def nats(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return the surprisal of each target in nats, shaped like `targets`; 0 where ignored."""
        rows, words = hidden.reshape(-1, hidden.shape[-1]), self._words(targets).flatten()
        of_words = linear_nats(rows, self.projection.weight, self._bias(), words)
        return of_words.view(targets.shape) + self._halt_nats(hidden, targets)

    def _bias(self) -> Tensor:
        """Return the softmax's bias, which gives `<stop>` a probability of 0."""
        return self.projection.bias + self.barred.to(self.projection.bias.dtype)

    def _words(self, targets: Tensor) -> Tensor:
        """Return the targets of the softmax: `<stop>` becomes `IGNORED`."""
        return targets.masked_fill(targets == self.stop_id, IGNORED)

    def _halt_nats(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return the halting unit's surprisal at each target in nats; 0 where ignored."""
        halts = at_least_float32(self.halt(hidden)).squeeze(-1)
        nats = softplus(torch.where(targets == self.stop_id, -halts, halts))
        return nats.masked_fill(targets == IGNORED, 0.0)
