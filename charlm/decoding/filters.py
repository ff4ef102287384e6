"""What may be chosen: arithmetic on logits of any leading shape."""

from collections.abc import Iterable

from torch import Tensor


def bar_tokens(logits: Tensor, tokens: Iterable[int]) -> Tensor:
    """Give the tokens no probability. logits is (..., vocab_size) and is not modified."""
    logits = logits.clone()
    for token in tokens:
        logits[..., token] = float("-inf")
    return logits


def scale_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Sharpen (below 1) or flatten (above 1) the distribution: logits / temperature.

    Args:
        logits: (..., vocab_size). Not modified.
        temperature: above 0.
    """
    return logits / temperature
