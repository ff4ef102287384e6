"""Filters and penalties: functions on logits of any leading shape.

Each function takes logits or log-probabilities of shape (..., vocab_size) and returns new ones
without modifying its input. Masked tokens are minus infinity.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

BARRED = float("-inf")


def bar_tokens(logits: Tensor, tokens: Iterable[int] | Tensor) -> Tensor:
    """Mask the given tokens, so that they have probability 0."""
    if not isinstance(tokens, Tensor):
        tokens = torch.tensor(list(tokens), dtype=torch.long, device=logits.device)
    return logits.index_fill(-1, tokens, BARRED)


def favour_tokens(logits: Tensor, bias: Mapping[int, float]) -> Tensor:
    """Add a bias to logits by token id; 1 multiplies a token's odds against others by e."""
    added = logits.new_zeros(logits.shape[-1])
    for token, value in bias.items():
        added[token] = value
    return logits + added


def penalize_repetition(logits: Tensor, counts: Tensor, penalty: float) -> Tensor:
    """Divide positive logits of tokens that have occurred by `penalty`; multiply negative ones.

    Keskar et al. 2019 (arXiv:1909.05858, sec. 4.1), in Hugging Face's form.

    Args:
        logits: (..., vocab_size).
        counts: number of occurrences of each token, broadcastable to `logits`.
        penalty: above 0; 1 has no effect, larger values discourage, smaller ones encourage.
    """
    penalized = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(counts > 0, penalized, logits)


def penalize_presence(logits: Tensor, counts: Tensor, penalty: float) -> Tensor:
    """Subtract `penalty` from the logits of tokens that have occurred; 0 has no effect."""
    return logits - penalty * (counts > 0).to(logits)


def penalize_frequency(logits: Tensor, counts: Tensor, penalty: float) -> Tensor:
    """Subtract `penalty` from a token's logit for each of its occurrences; 0 has no effect."""
    return logits - penalty * counts.to(logits)


def bar_repeated_ngrams(logits: Tensor, tokens: Tensor, size: int) -> Tensor:
    """Mask each token that would complete an n-gram already in the text.

    Paulus et al. 2017 (arXiv:1705.04304, sec. 2.5). The time is linear in the length of the text.

    Args:
        logits: (..., vocab_size).
        tokens: the text so far, (..., length); shorter rows are padded with -1 on the left.
        size: n, at least 1; 0 has no effect.
    """
    if size == 0 or tokens.shape[-1] < size:
        return logits
    ngrams = tokens.unfold(-1, size, 1)  # (..., number of n-grams, size)
    begun = tokens[..., tokens.shape[-1] - size + 1 :].unsqueeze(-2)  # (..., 1, size - 1)
    repeats = (ngrams[..., :-1] == begun).all(-1) & (ngrams >= 0).all(-1)
    # N-grams that do not repeat are sent to an extra column, which is cut off.
    last = torch.where(repeats, ngrams[..., -1], logits.shape[-1])
    barred = logits.new_zeros(*logits.shape[:-1], logits.shape[-1] + 1, dtype=torch.bool)
    barred.scatter_(-1, last, True)
    return logits.masked_fill(barred[..., :-1], BARRED)


def scale_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Sharpen (below 1) or flatten (above 1) the distribution: logits / temperature.

    The largest logit becomes 0, so that a temperature near 0 does not give NaN.

    Args:
        logits: (..., vocab_size).
        temperature: above 0.
    """
    return (logits - logits.amax(-1, keepdim=True)) / temperature


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the `k` most probable tokens and mask the rest; ties go to the smaller id.

    Fan et al. 2018 (arXiv:1805.04833, sec. 5.4). k is at least 1.
    """
    least = logits.topk(min(k, logits.shape[-1])).values[..., -1:]
    above, equal = logits > least, logits == least
    places_left = k - above.sum(-1, keepdim=True)
    return logits.masked_fill(~(above | (equal & (equal.cumsum(-1) <= places_left))), BARRED)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of most probable tokens that reaches probability `p`; mask the rest.

    Nucleus sampling (Holtzman et al. 2020, arXiv:1904.09751). The most probable token is always
    kept. p is in (0, 1]; 1 has no effect.
    """
    return keep_first(logits, logits.argsort(descending=True, stable=True), p)


def keep_min_p(logits: Tensor, p: float) -> Tensor:
    """Keep tokens with at least `p` times the probability of the most probable; mask the rest.

    Nguyen et al. 2024 (arXiv:2407.01082). p is in [0, 1]; 0 has no effect.
    """
    probs = logits.softmax(-1)
    return logits.masked_fill(probs < p * probs.amax(-1, keepdim=True), BARRED)


def keep_typical(logits: Tensor, p: float) -> Tensor:
    """Keep the smallest set of most typical tokens that reaches probability `p`; mask the rest.

    A token is typical if its surprisal is close to the entropy, which is the expected surprisal
    (Meister et al. 2023, arXiv:2202.00666). p is in (0, 1]; 1 has no effect.
    """
    log_probs = logits.log_softmax(-1)
    entropy = -(log_probs.exp() * log_probs).nansum(-1, keepdim=True)  # 0 log 0 is 0
    return keep_first(logits, (-log_probs - entropy).abs().argsort(stable=True), p)


def keep_first(logits: Tensor, order: Tensor, p: float) -> Tensor:
    """Keep the shortest prefix of `order`, (..., vocab_size), that reaches probability `p`."""
    if p == 1:
        return logits
    reached = logits.softmax(-1).gather(-1, order).cumsum(-1)
    late = torch.zeros_like(reached, dtype=torch.bool)
    late[..., 1:] = reached[..., :-1] >= p
    return logits.masked_fill(torch.zeros_like(late).scatter(-1, order, late), BARRED)
