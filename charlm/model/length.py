"""A text's length, foretold before its first token (Goodfellow et al. 2016, sec. 10.2.3).

    P(x_1 ... x_n <stop>) = P(n) P(x_1 | n) P(x_2 | x_1, n - 1) ...

The length n is drawn first. From then on the network is told at every step how many tokens are
left, and `<stop>` comes when none is. In place of `<start>` a text begins with `vocab_size + n`.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from charlm.model.cross_entropy import IGNORED, linear_cross_entropy, linear_nats, logits
from charlm.model.halting import NEVER

SCALES = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0)  # tokens left, by which the end is near or far
SINGLE = 64  # lengths below have a probability each
GROWTH = 1.1  # of the ranges of lengths above, which share one
LONGEST = 1 << 24
UNSEEN = 0.1  # texts that a range of lengths is taken to have had besides


def length_bounds() -> list[int]:
    """Where ranges of lengths begin: 0, 1, ..., then ever wider ones, and the end of the last."""
    bounds = list(range(SINGLE + 1))
    while bounds[-1] < LONGEST:
        bounds.append(max(bounds[-1] + 1, math.ceil(bounds[-1] * GROWTH)))
    return bounds


def begin_count(
    tokens: Tensor, count: Tensor, vocab_size: int, start_id: int
) -> tuple[Tensor, Tensor]:
    """Hear how long the texts are that begin here.

    Args:
        tokens: (batch, time); the first of a row may be `vocab_size` and more.
        count: (batch, 2): tokens left before this window, and in all.
        vocab_size: ids of tokens are below.
        start_id: what the network reads in its place.

    Returns:
        The tokens that the network reads, and the count.
    """
    length = tokens[:, 0] - vocab_size
    told = length >= 0
    count = torch.where(told.unsqueeze(1), length.to(count).unsqueeze(1), count)
    first = tokens[:, 0].masked_fill(told, start_id)
    return torch.cat([first.unsqueeze(1), tokens[:, 1:]], dim=1), count


def tokens_left(count: Tensor, time: int) -> Tensor:
    """At each step of a window, (batch, time): how many tokens are to come."""
    return count[:, :1] - torch.arange(time, device=count.device)


def nearness(left: Tensor) -> Tensor:
    """What the network sees of the tokens left: exp(-left / s) for some s, (batch, time, any)."""
    scales = left.new_tensor(SCALES)
    return (-left.clamp(min=0).unsqueeze(-1) / scales).exp()


class LengthHead(nn.Module):
    """Words from a softmax of all but `<stop>`; `<stop>` when no token is left.

    Hidden vectors come with two numbers more: the tokens left and the length. What the length
    costs, -log P(n), is counted with the `<stop>` that ends the text.
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
        """Log P: (..., hidden_size + 2) to (..., vocab_size), in float32."""
        hidden, left, _ = self._split(hidden)
        words = logits(hidden, self.projection.weight, self._bias()).float().log_softmax(-1)
        stop = torch.full_like(self.barred, NEVER)
        stop[self.stop_id] = 0
        return torch.where((left < 0.5).unsqueeze(-1), stop.to(words), words)

    def loss(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Mean nats per predicted target; hidden is (..., hidden_size + 2), targets (...)."""
        rows, _, total = self._split(hidden.reshape(-1, hidden.shape[-1]))
        words = targets.masked_fill(targets == self.stop_id, IGNORED).flatten()
        of_words = linear_cross_entropy(rows, self.projection.weight, self._bias(), words)
        count, predicted = (words != IGNORED).sum(), (targets != IGNORED).sum().clamp(min=1)
        return (of_words * count + self._length_nats(total, targets.flatten()).sum()) / predicted

    def nats(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Surprisal of each target in nats, the shape of `targets`; 0 where it is ignored."""
        rows, _, total = self._split(hidden.reshape(-1, hidden.shape[-1]))
        words = targets.masked_fill(targets == self.stop_id, IGNORED).flatten()
        of_words = linear_nats(rows, self.projection.weight, self._bias(), words)
        return (of_words + self._length_nats(total, targets.flatten())).view(targets.shape)

    def length_log_probs(self, lengths: Tensor) -> Tensor:
        """Log P of lengths, of any shape, in float32; a range shares its probability equally."""
        bounds = self.bounds
        widths = (bounds[1:] - bounds[:-1]).log()
        return (self.lengths.float().log_softmax(0) - widths)[self._ranges(lengths)]

    def _ranges(self, lengths: Tensor) -> Tensor:
        """The range that each length is in."""
        place = torch.bucketize(lengths.long(), self.bounds, right=True) - 1
        return place.clamp(0, len(self.lengths) - 1)

    @torch.no_grad()
    def begin_with(self, batches: Iterable[Tensor]) -> None:
        """Take lengths, given in batches, for as probable as they are frequent; others a little."""
        counts = torch.full_like(self.lengths, UNSEEN)
        for lengths in batches:
            counts += self._ranges(lengths).bincount(minlength=len(counts))
        self.lengths.copy_(counts.log())

    def _split(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden vectors, tokens left, and length."""
        return hidden[..., :-2], hidden[..., -2], hidden[..., -1]

    def _bias(self) -> Tensor:
        """The softmax's, under which `<stop>` never comes."""
        return self.projection.bias + self.barred.to(self.projection.bias.dtype)

    def _length_nats(self, total: Tensor, targets: Tensor) -> Tensor:
        """What the length costs, where it has been reached."""
        return (-self.length_log_probs(total)).masked_fill(targets != self.stop_id, 0.0)
