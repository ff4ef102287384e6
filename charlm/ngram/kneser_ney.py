"""Interpolated modified Kneser-Ney smoothing.

Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling", who found
it best of those compared; in the form of Heafield et al. 2013, "Scalable modified Kneser-Ney
language model estimation", sec. 3:

    P(w | h) = (a(h w) - D(a(h w))) / sum_v a(h v)  +  gamma(h) P(w | h without its first token)
    gamma(h) = sum_v D(a(h v)) / sum_v a(h v)

a are adjusted counts and D discounts. At the lowest order, P(w | no context) is interpolated with
the uniform distribution, so that unseen tokens also have a probability above 0.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from charlm.errors import ConfigError
from charlm.ngram.counts import NgramCounts, count_ngrams
from charlm.ngram.layout import Ids
from charlm.ngram.model import NgramModel, NgramTable

Floats = NDArray[np.float64]

MAX_ORDER = 30  # time and memory grow with the order, and longer n-grams hardly ever repeat
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)  # KenLM's, for texts that are too small or too regular


def build_kneser_ney(
    tokens: ArrayLike, *, order: int, vocab_size: int, start_id: int
) -> NgramModel:
    """Estimate an n-gram model from a text.

    Nothing is pruned. The text may have any length; without tokens the model is uniform.

    Args:
        tokens: concatenated frames, (num_tokens,), ids below `vocab_size`. May be memory-mapped.
        order: n, from 1 to 30: a token depends on the n - 1 tokens before it.
        vocab_size: number of token ids, `<start>` included; at least 2.
        start_id: id of `<start>`, which is only a context and is never predicted.

    Raises:
        ConfigError: `order` is out of range, or there are more n-grams than 64 bits can number.
    """
    if not 1 <= order <= MAX_ORDER:
        raise ConfigError(
            f"the order of an n-gram model must be between 1 and {MAX_ORDER}, not {order}."
        )
    assert vocab_size >= 2 and 0 <= start_id < vocab_size
    counted = count_ngrams(tokens, order=order, vocab_size=vocab_size, start_id=start_id)
    adjusted = [adjusted_counts(*orders) for orders in pairwise(counted)] + [counted[-1].counts]

    probs = np.array([1 / (vocab_size - 1)])  # without counts: uniform
    log_probs, log_backoffs = [], []
    for ngrams, counts in zip(counted, adjusted, strict=True):
        probs, backoffs = interpolate(ngrams, counts, probs)
        # Rounding can lift a probability above 1, which ARPA readers reject.
        log_probs.append(np.log(np.minimum(probs, 1.0)))
        log_backoffs.append(np.log(backoffs))
    log_probs[0][start_id] = -np.inf
    log_backoffs.append(np.zeros_like(probs))  # its n-grams are never contexts

    tables = zip((ngrams.keys for ngrams in counted), log_probs, log_backoffs[1:], strict=True)
    return NgramModel(tuple(NgramTable(*table) for table in tables), start_id)


def adjusted_counts(ngrams: NgramCounts, longer: NgramCounts) -> Ids:
    """Return the number of distinct tokens that precede each n-gram, (num_ngrams,).

    N-grams that nothing precedes keep their count. They begin with `<start>`, or with the first
    token of a text that has no `<start>`.
    """
    num_before = np.bincount(longer.suffixes, minlength=len(ngrams.keys))
    return np.where(num_before > 0, num_before, ngrams.counts)


def interpolate(ngrams: NgramCounts, counts: Ids, lower_probs: Floats) -> tuple[Floats, Floats]:
    """Interpolate one order with the order below.

    Args:
        ngrams: n-grams of one order.
        counts: adjusted counts, (num_ngrams,).
        lower_probs: probabilities of the order below, (num_lower,).

    Returns: the probability of the last token of each n-gram, (num_ngrams,), and gamma of each
    n-gram of the order below, (num_lower,).
    """
    discounts = count_discounts(counts)[np.minimum(counts, 3)]
    num_lower = len(lower_probs)
    totals = np.bincount(ngrams.contexts, counts, minlength=num_lower)
    discounted = np.bincount(ngrams.contexts, discounts, minlength=num_lower)
    followed = totals > 0
    backoffs = np.divide(discounted, totals, out=np.ones(num_lower), where=followed)
    shares = np.zeros(len(counts))
    np.divide(counts - discounts, totals[ngrams.contexts], out=shares, where=counts > 0)
    return shares + backoffs[ngrams.contexts] * lower_probs[ngrams.suffixes], backoffs


def count_discounts(counts: Ids) -> Floats:
    """Return the discounts of counts 0, 1, 2 and 3 or more, (4,).

    Chen & Goodman 1999, eq. 26. `FALLBACK_DISCOUNTS` replace all of them if one cannot be computed
    or is 0 or less. A discount of 0 could leave no probability for unseen tokens.
    """
    _, n1, n2, n3, n4, *_ = np.bincount(np.minimum(counts, 5), minlength=6)
    discounts = FALLBACK_DISCOUNTS
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        estimates = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if min(estimates) > 0:
            discounts = estimates
    return np.array([0.0, *discounts])
