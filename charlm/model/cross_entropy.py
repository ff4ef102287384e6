"""Cross-entropy of a softmax over a linear map of hidden vectors, without holding all logits.

The logits of a window of 2,240 tokens and 50,000 words fill 450 MB, and training usually holds them
several times. Here they are computed for one part of the vocabulary at a time and reduced to the
loss and the gradients of hidden vectors, weight and bias. The gradients are therefore computed with
the loss; `backward` only scales them (for a GPU: Wijmans et al. 2025, arXiv:2411.09009).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import cross_entropy, linear

IGNORED = -100  # targets that are not predicted: <start> and padding
CPU_LOGITS = 1 << 21  # held at once: 8 MiB, which fit in caches
GPU_LOGITS = 1 << 26  # fewer would leave a GPU idle
NARROWEST = 64  # words of a part of the vocabulary, for any number of rows


@dataclass(frozen=True, slots=True)
class Gradients:
    """Buffers for gradients, in the shapes of the tensors they belong to."""

    hidden: Tensor  # (rows, size), float32 or better
    weight: Tensor  # (vocab_size, size)
    bias: Tensor  # (vocab_size,)

    @classmethod
    def empty(cls, hidden: Tensor, weight: Tensor, bias: Tensor) -> "Gradients":
        """Return uninitialized buffers for the gradients of these tensors."""
        return cls(
            at_least_float32(torch.empty_like(hidden)),
            torch.empty_like(weight),
            torch.empty_like(bias),
        )


def linear_nats(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
    """Return the surprisal of each target in nats, (rows,); 0 where it is ignored.

    Rows are processed in groups, so few logits are held at once, unless autograd keeps them all
    for the gradients.

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
    """Return the mean nats per predicted target; the arguments are those of `linear_nats`.

    Under autocast, matrix products are computed in its dtype and everything else in float32. The
    result cannot be differentiated twice.
    """
    one_stretch = len(stretches(len(weight), len(hidden), hidden.device)) == 1
    if one_stretch or not torch.is_grad_enabled():  # here plain autograd is at least as fast
        return linear_nats(hidden, weight, bias, targets).sum() / num_predicted(targets)
    mean: Tensor = LinearCrossEntropy.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, targets
    )
    return mean


class LinearCrossEntropy(torch.autograd.Function):
    """Autograd function of `linear_cross_entropy`."""

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
    """Return the number of predicted targets, at least 1 so that it can be a divisor."""
    return (targets != IGNORED).sum().clamp(min=1)


def scaled(gradient: Tensor, factor: Tensor) -> Tensor:
    """Return `gradient * factor`, or `gradient` itself if the factor is 1 and on the CPU.

    Reading a factor on a GPU would have to wait for it.
    """
    return gradient if factor.device.type == "cpu" and factor.item() == 1 else gradient * factor


def add_up(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    divisor: Tensor,
    gradients: Gradients | None,
) -> Tensor:
    """Return the total nats of all targets over `divisor`; write the gradients if given.

    The gradients need a second pass over the vocabulary, because the normalizing sums must be known
    first. Computing the logits again is faster than keeping them.
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
    """Hidden vectors, in the dtype of matrix products, and the linear map to logits."""

    hidden: Tensor  # (rows, size)
    weight: Tensor  # (vocab_size, size)
    bias: Tensor  # (vocab_size,)
    targets: Tensor  # (rows,), int64
    parts: list[slice]  # of the vocabulary

    def part_weight(self, words: slice) -> Tensor:
        return self.weight[words].to(self.hidden)

    def logits(self, words: slice) -> Tensor:
        """Return the logits of `words`, (rows, words), in float32 or better."""
        return logits(self.hidden, self.part_weight(words), self.bias[words].to(self.hidden))

    def find(self, words: slice) -> tuple[Tensor, Tensor]:
        """Return the column of each target in `words`, and 1.0 if it is there; otherwise 0, 0.0.

        Both are (rows, 1).
        """
        column = self.targets - words.start
        here = (column >= 0) & (column < words.stop - words.start)
        column = torch.where(here, column, 0)
        return column.unsqueeze(1), at_least_float32(here.to(self.hidden)).unsqueeze(1)


def normalise(linear_map: LinearMap) -> tuple[Tensor, Tensor, Tensor]:
    """Return each row's log-sum-exp of logits and target logit, and the last part's probabilities.

    The first two are (rows, 1), the probabilities (rows, words of the last part).
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
    """Write the gradients of the result of `add_up`, given that of `normalise`.

    `probs` is overwritten.
    """
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
    """Return the maximum number of logits to hold at once."""
    return CPU_LOGITS if device.type == "cpu" else GPU_LOGITS


def stretches(vocab_size: int, num_rows: int, device: torch.device) -> list[slice]:
    """Divide the vocabulary evenly into parts of at most `max_logits` logits over all rows.

    A part has up to `NARROWEST` words even if there are more rows than that allows.
    """
    widest = max(NARROWEST, max_logits(device) // max(1, num_rows))
    width = -(-vocab_size // -(-vocab_size // widest))
    return [slice(at, min(at + width, vocab_size)) for at in range(0, vocab_size, width)]


def logits(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return logits, (rows, vocab_size), in float32 or better, which the softmax needs."""
    return at_least_float32(linear(hidden, weight, bias))


def at_least_float32(x: Tensor) -> Tensor:
    """Return x in float32, or unchanged if it is float64."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def product_dtype(hidden: Tensor) -> torch.dtype:
    """Return the dtype of matrix products: autocast's if it is enabled, except for float64."""
    device = hidden.device.type
    autocasts = torch.is_autocast_enabled(device) and hidden.dtype != torch.float64
    return torch.get_autocast_dtype(device) if autocasts else hidden.dtype
