"""Cross-entropy of a softmax over a linear map of hidden vectors, its logits never held at once.

All logits of a window of 2,240 tokens and 50,000 words fill 450 MB, and training holds them several
times over. Here they come and go, a stretch of the vocabulary at a time, and leave what is wanted
of them: the loss, and the gradients of hidden vectors, weight and bias. So the gradients are
computed with the loss, before it is known how much is made of it (for a GPU: Wijmans et al. 2025,
arXiv:2411.09009).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import cross_entropy, linear

IGNORED = -100  # targets that are not predicted: <start> and padding
CPU_LOGITS = 1 << 21  # held at once: 8 MiB, which caches hold too
GPU_LOGITS = 1 << 26  # fewer would leave a GPU idle
NARROWEST = 64  # words of a stretch, whatever the number of rows


@dataclass(frozen=True, slots=True)
class Gradients:
    """Where gradients are written to: tensors of the shapes of what they are of."""

    hidden: Tensor  # (rows, size), float32 or better
    weight: Tensor  # (vocab_size, size)
    bias: Tensor  # (vocab_size,)

    @classmethod
    def empty(cls, hidden: Tensor, weight: Tensor, bias: Tensor) -> "Gradients":
        """Room for the gradients of these."""
        return cls(
            at_least_float32(torch.empty_like(hidden)),
            torch.empty_like(weight),
            torch.empty_like(bias),
        )


def linear_nats(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Surprisal of each target in nats, (rows,); 0 where it is ignored. Some rows at a time.

    Where gradients are wanted autograd keeps every logit; where they are not, few are ever held.

    Args:
        hidden: (rows, size).
        weight: (vocab_size, size).
        bias: (vocab_size,).
        targets: (rows,), int64; ids or `IGNORED`.
    """
    rows = max(1, max_logits(hidden.device) // len(weight))
    nats = [
        cross_entropy(logits(h, weight, bias), t, ignore_index=IGNORED, reduction="none")
        for h, t in zip(hidden.split(rows), targets.split(rows), strict=True)
    ]
    return torch.cat(nats)


def linear_cross_entropy(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Mean nats per predicted target; arguments as of `linear_nats`.

    Under autocast, matrix products are computed in its type and all else in float32. It cannot be
    differentiated twice.
    """
    one_stretch = len(stretches(len(weight), len(hidden), hidden.device)) == 1
    if one_stretch or not torch.is_grad_enabled():  # autograd's own way is as fast, if not faster
        return linear_nats(hidden, weight, bias, targets).sum() / num_predicted(targets)
    mean: Tensor = LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, targets
    )
    return mean


class LinearCrossEntropy(torch.autograd.Function):
    """`linear_cross_entropy` as autograd sees it."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
        gradients = None
        if any(ctx.needs_input_grad):
            gradients = Gradients.empty(hidden, weight, bias)
        mean = add_up(hidden, weight, bias, targets, num_predicted(targets), gradients)
        if gradients is not None:
            ctx.save_for_backward(gradients.hidden.to(hidden), gradients.weight, gradients.bias)
        return mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor | None, ...]:
        return (*(scaled(gradient, factor) for gradient in ctx.saved_tensors), None)


def num_predicted(targets: Tensor) -> Tensor:
    """How many targets are predicted, at least 1 so that it can be divided by."""
    return (targets != IGNORED).sum().clamp(min=1)


def scaled(gradient: Tensor, factor: Tensor) -> Tensor:
    """`gradient * factor`; as it is where it can be seen, without waiting, that the factor is 1."""
    return gradient if factor.device.type == "cpu" and factor.item() == 1 else gradient * factor


def add_up(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    divisor: Tensor,
    gradients: Gradients | None,
) -> Tensor:
    """Nats of all targets together over `divisor`; the gradients of that are written, if wanted.

    Twice through the vocabulary: what the logits' exponentials sum to must be known before they are
    probabilities, and to compute logits again is faster than to keep them.
    """
    dtype = product_dtype(hidden)
    with torch.autocast(hidden.device.type, enabled=False):
        parts = stretches(len(weight), len(hidden), hidden.device)
        linear_map = LinearMap(hidden.to(dtype), weight, bias, targets, parts)
        log_total, at_target, probs = normalise(linear_map)
        nats = (log_total - at_target) * (targets != IGNORED).unsqueeze(1)
        if gradients is not None:
            write_gradients(linear_map, log_total, probs, divisor, gradients)
    return nats.sum() / divisor


@dataclass(frozen=True, slots=True)
class LinearMap:
    """Hidden vectors, in the type of matrix products, and what makes logits of them."""

    hidden: Tensor
    weight: Tensor
    bias: Tensor
    targets: Tensor
    parts: list[slice]  # of the vocabulary

    def part_weight(self, words: slice) -> Tensor:
        return self.weight[words].to(self.hidden)

    def logits(self, words: slice) -> Tensor:
        """(rows, words), in float32 or better."""
        return logits(self.hidden, self.part_weight(words), self.bias[words].to(self.hidden))

    def find(self, words: slice) -> tuple[Tensor, Tensor]:
        """The column of each target among `words`, and 1 there; (any, 0) if it is elsewhere."""
        column = self.targets - words.start
        here = (column >= 0) & (column < words.stop - words.start)
        column = torch.where(here, column, 0)
        return column.unsqueeze(1), at_least_float32(here.to(self.hidden)).unsqueeze(1)


def normalise(linear_map: LinearMap) -> tuple[Tensor, Tensor, Tensor]:
    """Of each row: the log of what the logits' exponentials sum to, and the target's logit.

    Both are (rows, 1). Besides, the probabilities in the last part, which was seen last.
    """
    num_rows = len(linear_map.hidden)
    log_total = at_least_float32(linear_map.hidden.new_full((num_rows, 1), -torch.inf))
    at_target = torch.zeros_like(log_total)
    for words in linear_map.parts:
        scores = linear_map.logits(words)
        column, here = linear_map.find(words)
        at_target += scores.gather(1, column) * here
        highest = scores.amax(1, keepdim=True)
        total = scores.sub_(highest).exp_().sum(1, keepdim=True)
        log_total = log_total.logaddexp(total.log() + highest)
    return log_total, at_target, scores.mul_((highest - log_total).exp_())


def write_gradients(
    linear_map: LinearMap, log_total: Tensor, probs: Tensor, divisor: Tensor, gradients: Gradients
) -> None:
    """Gradients of what `add_up` gives, from what `normalise` gave. `probs` is overwritten."""
    predicted = linear_map.targets != IGNORED
    mask = predicted.to(linear_map.hidden)
    masked = linear_map.hidden * mask.unsqueeze(1)
    gradients.hidden.zero_()
    for words in reversed(linear_map.parts):
        if words is not linear_map.parts[-1]:
            probs = linear_map.logits(words).sub_(log_total).exp_()
        column, here = linear_map.find(words)
        errors = probs.scatter_add_(1, column, -here).to(masked)  # the gradient of the logits
        gradients.hidden.add_(errors @ linear_map.part_weight(words))
        gradients.weight[words].copy_(errors.T @ masked).div_(divisor)
        gradients.bias[words].copy_(mask @ errors).div_(divisor)
    gradients.hidden.mul_((predicted / divisor).unsqueeze(1))


def max_logits(device: torch.device) -> int:
    """How many logits are held at once."""
    return CPU_LOGITS if device.type == "cpu" else GPU_LOGITS


def stretches(vocab_size: int, num_rows: int, device: torch.device) -> list[slice]:
    """The vocabulary cut evenly, so that a stretch has few enough logits in all rows."""
    widest = max(NARROWEST, max_logits(device) // max(1, num_rows))
    width = -(-vocab_size // -(-vocab_size // widest))
    return [slice(at, min(at + width, vocab_size)) for at in range(0, vocab_size, width)]


def logits(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(rows, vocab_size), in float32 or better for the softmax's sake."""
    return at_least_float32(linear(hidden, weight, bias))


def at_least_float32(x: Tensor) -> Tensor:
    """Float64 as it is, anything less in float32."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def product_dtype(hidden: Tensor) -> torch.dtype:
    """What matrix products are computed in: what autocast says, where it is on."""
    device = hidden.device.type
    autocasts = torch.is_autocast_enabled(device) and hidden.dtype != torch.float64
    return torch.get_autocast_dtype(device) if autocasts else hidden.dtype
