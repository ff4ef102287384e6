"""What may be chosen: arithmetic on logits of any leading shape.

Each function takes logits, or log-probabilities, of shape (..., vocab_size), leaves them as they
are and returns what becomes of them; what is barred is minus infinity.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

BARRED = float("-inf")


def bar_tokens(logits: Tensor, tokens: Iterable[int] | Tensor) -> Tensor:
    """Give the tokens no probability."""
    if not isinstance(tokens, Tensor):
        tokens = torch.tensor(list(tokens), dtype=torch.long, device=logits.device)
    return logits.index_fill(-1, tokens, BARRED)


def favour_tokens(logits: Tensor, bias: Mapping[int, float]) -> Tensor:
    """Add each token's value to its logit: 1 makes it e times as probable beside the others."""
    added = logits.new_zeros(logits.shape[-1])
    for token, value in bias.items():
        added[token] = value
    return logits + added


def penalize_repetition(logits: Tensor, counts: Tensor, penalty: float) -> Tensor:
    """Divide the logits of tokens that have occurred by `penalty`; multiply those below 0.

    Keskar et al. 2019 (arXiv:1909.05858, sec. 4.1), in Hugging Face's form.

    Args:
        logits: (..., vocab_size).
        counts: how often each token has occurred, of a shape that broadcasts with `logits`.
        penalty: above 0; 1 changes nothing, more discourages, less encourages.
    """
    penalized = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(counts > 0, penalized, logits)


def penalize_presence(logits: Tensor, counts: Tensor, penalty: float) -> Tensor:
    """Subtract `penalty` from the logits of tokens that have occurred. 0 changes nothing."""
    return logits - penalty * (counts > 0).to(logits)


def penalize_frequency(logits: Tensor, counts: Tensor, penalty: float) -> Tensor:
    """Subtract `penalty` for each time a token has occurred. 0 changes nothing."""
    return logits - penalty * counts.to(logits)


def bar_repeated_ngrams(logits: Tensor, tokens: Tensor, size: int) -> Tensor:
    """Bar each token that would complete an n-gram the text already holds.

    Paulus et al. 2017 (arXiv:1705.04304, sec. 2.5). Takes time in proportion to the text.

    Args:
        logits: (..., vocab_size).
        tokens: the text so far, (..., length), its shorter rows filled with -1 on the left.
        size: n, at least 1; 0 changes nothing.
    """
    if size == 0 or tokens.shape[-1] < size:
        return logits
    ngrams = tokens.unfold(-1, size, 1)  # (..., number of n-grams, size)
    begun = tokens[..., tokens.shape[-1] - size + 1 :].unsqueeze(-2)  # (..., 1, size - 1)
    repeats = (ngrams[..., :-1] == begun).all(-1) & (ngrams >= 0).all(-1)
    # Those that do not repeat go to a column of their own, which is cut off.
    last = torch.where(repeats, ngrams[..., -1], logits.shape[-1])
    barred = logits.new_zeros(*logits.shape[:-1], logits.shape[-1] + 1, dtype=torch.bool)
    barred.scatter_(-1, last, True)
    return logits.masked_fill(barred[..., :-1], BARRED)


def scale_temperature(logits: Tensor, temperature: float) -> Tensor:
    """Sharpen (below 1) or flatten (above 1) the distribution: logits / temperature.

    The most likely token's logit becomes 0, so that the coldest temperature leaves numbers.

    Args:
        logits: (..., vocab_size).
        temperature: above 0.
    """
    return (logits - logits.amax(-1, keepdim=True)) / temperature


def keep_top_k(logits: Tensor, k: int) -> Tensor:
    """Keep the `k` most likely tokens, of equals the first, as argmax does; bar the rest.

    Fan et al. 2018 (arXiv:1805.04833, sec. 5.4). k is at least 1.
    """
    least = logits.topk(min(k, logits.shape[-1])).values[..., -1:]
    above, equal = logits > least, logits == least
    places_left = k - above.sum(-1, keepdim=True)
    return logits.masked_fill(~(above | (equal & (equal.cumsum(-1) <= places_left))), BARRED)


def keep_top_p(logits: Tensor, p: float) -> Tensor:
    """Keep the fewest most likely tokens whose probabilities reach `p`; bar the rest.

    Nucleus sampling (Holtzman et al. 2020, arXiv:1904.09751). The most likely token always stays.
    p is in (0, 1]; 1 changes nothing.
    """
    return keep_first(logits, logits.argsort(descending=True, stable=True), p)


def keep_min_p(logits: Tensor, p: float) -> Tensor:
    """Keep tokens at least `p` times as probable as the most likely one; bar the rest.

    Nguyen et al. 2024 (arXiv:2407.01082). p is in [0, 1]; 0 changes nothing.
    """
    probs = logits.softmax(-1)
    return logits.masked_fill(probs < p * probs.amax(-1, keepdim=True), BARRED)


def keep_typical(logits: Tensor, p: float) -> Tensor:
    """Keep the fewest tokens of most typical surprisal whose probabilities reach `p`.

    Typical: near to the entropy, the surprisal to be expected (Meister et al. 2023,
    arXiv:2202.00666). p is in (0, 1]; 1 changes nothing.
    """
    log_probs = logits.log_softmax(-1)
    entropy = -(log_probs.exp() * log_probs).nansum(-1, keepdim=True)  # 0 log 0 is 0
    return keep_first(logits, (-log_probs - entropy).abs().argsort(stable=True), p)


def keep_first(logits: Tensor, order: Tensor, p: float) -> Tensor:
    """Keep the fewest tokens, first come in `order` (..., vocab_size), that reach `p` together."""
    if p == 1:
        return logits
    reached = logits.softmax(-1).gather(-1, order).cumsum(-1)
    late = torch.zeros_like(reached, dtype=torch.bool)
    late[..., 1:] = reached[..., :-1] >= p
    return logits.masked_fill(torch.zeros_like(late).scatter(-1, order, late), BARRED)
