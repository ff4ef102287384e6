"""Length of a text, predicted before its first token (Goodfellow et al. 2016, sec. 10.2.3).

    P(x_1 ... x_n <stop>) = P(n) P(x_1 | n) P(x_2 | x_1, n - 1) ...

The length n is drawn first. Then the number of tokens left is an input at every step, and `<stop>`
follows when none is left. A text starts with the token `vocab_size + n` instead of `<start>`.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from charlm.model.cross_entropy import IGNORED, linear_cross_entropy, linear_nats, logits
from charlm.model.halting import NEVER

SCALES = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0)  # tokens; see `nearness`
SINGLE = 64  # lengths below this have their own probability
GROWTH = 1.1  # from range to range; the lengths of a range share a probability
LONGEST = 1 << 24
UNSEEN = 0.1  # pseudocount of each range of lengths


def length_bounds() -> list[int]:
    """Return the starts of the ranges of lengths, 0, 1, ..., then wider ones, and the last end."""
    bounds = list(range(SINGLE + 1))
    while bounds[-1] < LONGEST:
        bounds.append(max(bounds[-1] + 1, math.ceil(bounds[-1] * GROWTH)))
    return bounds


def begin_count(
    tokens: Tensor, count: Tensor, vocab_size: int, start_id: int
) -> tuple[Tensor, Tensor]:
    """Read the length token of each sequence that starts in this window.

    Args:
        tokens: (batch, time); the first of a row may be a length token, `vocab_size` + length.
        count: (batch, 2): tokens left before this window, and the length.
        vocab_size: smallest length token.
        start_id: id that replaces a length token.

    Returns:
        The tokens that the network reads, and the updated count.
    """
    length = tokens[:, 0] - vocab_size
    told = length >= 0
    count = torch.where(told.unsqueeze(1), length.to(count).unsqueeze(1), count)
    first = tokens[:, 0].masked_fill(told, start_id)
    return torch.cat([first.unsqueeze(1), tokens[:, 1:]], dim=1), count


def tokens_left(count: Tensor, time: int) -> Tensor:
    """Return the number of tokens left at each step of a window, (batch, time)."""
    return count[:, :1] - torch.arange(time, device=count.device)


def nearness(left: Tensor) -> Tensor:
    """Return the network's input for the tokens left: exp(-left / s) for each s of `SCALES`.

    left is (batch, time), the result (batch, time, 6); a negative number counts as 0.
    """
    scales = left.new_tensor(SCALES)
    return (-left.clamp(min=0).unsqueeze(-1) / scales).exp()


class LengthHead(nn.Module):
    """Softmax over all tokens but `<stop>`, and `<stop>` when no token is left.

    Hidden vectors have two more features: the tokens left and the length. The surprisal of the
    length, -log P(n), counts as that of the `<stop>` that ends the text.
    """

    barred: Tensor
    bounds: Tensor

    def __init__(self, hidden_size: int, vocab_size: int, stop_id: int) -> None:
        super().__init__()
        self.projection = nn.Linear(hidden_size, vocab_size)
        nn.init.zeros_(self.projection.bias)
        bounds = length_bounds()
        self.lengths = nn.Parameter(torch.zeros(len(bounds) - 1))
        self.stop_id = stop_id
        barred = torch.zeros(vocab_size)
        barred[stop_id] = NEVER
        self.register_buffer("barred", barred, persistent=False)
        self.register_buffer("bounds", torch.tensor(bounds), persistent=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return log-probabilities (..., vocab_size) in float32.

        hidden is (..., hidden_size + 2).
        """
        hidden, left, _ = self._split(hidden)
        words = logits(hidden, self.projection.weight, self._bias()).float().log_softmax(-1)
        stop = torch.full_like(self.barred, NEVER)
        stop[self.stop_id] = 0
        return torch.where((left < 0.5).unsqueeze(-1), stop.to(words), words)

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return mean nats per predicted target.

        hidden is (..., hidden_size + 2), targets (...).
        """
        rows, _, total = self._split(hidden.reshape(-1, hidden.shape[-1]))
        words = targets.masked_fill(targets == self.stop_id, IGNORED).flatten()
        of_words = linear_cross_entropy(rows, self.projection.weight, self._bias(), words)
        count, predicted = (words != IGNORED).sum(), (targets != IGNORED).sum().clamp(min=1)
        return (of_words * count + self._length_nats(total, targets.flatten()).sum()) / predicted

    def nats(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return the surprisal of each target in nats, shaped like `targets`; 0 where ignored."""
        rows, _, total = self._split(hidden.reshape(-1, hidden.shape[-1]))
        words = targets.masked_fill(targets == self.stop_id, IGNORED).flatten()
        of_words = linear_nats(rows, self.projection.weight, self._bias(), words)
        return (of_words + self._length_nats(total, targets.flatten())).view(targets.shape)

    def length_log_probs(self, lengths: Tensor) -> Tensor:
        """Return log-probabilities of lengths, of any shape, in float32.

        The lengths of a range share its probability equally.
        """
        bounds = self.bounds
        widths = (bounds[1:] - bounds[:-1]).log()
        return (self.lengths.float().log_softmax(0) - widths)[self._ranges(lengths)]

    def _ranges(self, lengths: Tensor) -> Tensor:
        """Return the number of the range that each length is in."""
        place = torch.bucketize(lengths.long(), self.bounds, right=True) - 1
        return place.clamp(0, len(self.lengths) - 1)

    @torch.no_grad()
    def begin_with(self, batches: Iterable[Tensor]) -> None:
        """Set the probabilities of lengths to their frequencies in `batches`.

        A pseudocount keeps ranges without texts possible.
        """
        counts = torch.full_like(self.lengths, UNSEEN)
        for lengths in batches:
            counts += self._ranges(lengths).bincount(minlength=len(counts))
        self.lengths.copy_(counts.log())

    def _split(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Split features into hidden vectors, tokens left, and length."""
        return hidden[..., :-2], hidden[..., -2], hidden[..., -1]

    def _bias(self) -> Tensor:
        """Return the softmax's bias, which gives `<stop>` a probability of 0."""
        return self.projection.bias + self.barred.to(self.projection.bias.dtype)

    def _length_nats(self, total: Tensor, targets: Tensor) -> Tensor:
        """Return the surprisal of the length in nats where the target is `<stop>`, else 0."""
        return (-self.length_log_probs(total)).masked_fill(targets != self.stop_id, 0.0)
