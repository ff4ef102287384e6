"""Interpolated modified Kneser-Ney smoothing, the best of the n-gram models.

Chen & Goodman 1999, "An empirical study of smoothing techniques for language modeling"; in the form
of Heafield et al. 2013, "Scalable modified Kneser-Ney language model estimation", sec. 3:

    P(w | h) = (a(h w) - D(a(h w))) / sum_v a(h v)  +  gamma(h) P(w | h without its first token)
    gamma(h) = sum_v D(a(h v)) / sum_v a(h v)

a are adjusted counts, D discounts. At the bottom, P(w | no context) mixes with the uniform
distribution, so that every token that can be predicted has some probability, seen or not.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from charlm.errors import ConfigError
from charlm.ngram.counts import NgramCounts, count_ngrams
from charlm.ngram.layout import Ids
from charlm.ngram.model import NgramModel, NgramTable

Floats = NDArray[np.float64]

MAX_ORDER = 30  # time and memory grow with it; beyond, hardly an n-gram comes twice
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)  # where a text is too small or too regular to tell: KenLM's


def build_kneser_ney(
    tokens: ArrayLike, *, order: int, vocab_size: int, start_id: int
) -> NgramModel:
    """Learn an n-gram model from a text.

    Nothing is pruned. A text may be of any length; without tokens the model is uniform.

    Args:
        tokens: frames in a row, (num_tokens,), ids below `vocab_size`. May be memory-mapped.
        order: n, from 1 to 30: a token depends on the n - 1 before it.
        vocab_size: number of token ids, `<start>` included; at least 2.
        start_id: id of `<start>`, which is context and is never predicted.

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

    probs = np.array([1 / (vocab_size - 1)])  # of the token after nothing: uniform
    log_probs, log_backoffs = [], []
    for ngrams, counts in zip(counted, adjusted, strict=True):
        probs, backoffs = interpolate(ngrams, counts, probs)
        # Rounding must not lift a sure token above certainty, where no ARPA reader would take it.
        log_probs.append(np.log(np.minimum(probs, 1.0)))
        log_backoffs.append(np.log(backoffs))
    log_probs[0][start_id] = -np.inf
    log_backoffs.append(np.zeros_like(probs))  # nothing follows the longest

    tables = zip((ngrams.keys for ngrams in counted), log_probs, log_backoffs[1:], strict=True)
    return NgramModel(tuple(NgramTable(*table) for table in tables), start_id)


def adjusted_counts(ngrams: NgramCounts, longer: NgramCounts) -> Ids:
    """How many different tokens stand before each n-gram; what nothing stands before: how often.

    The latter begin with `<start>`, or with the first token of a text that has none.
    """
    num_before = np.bincount(longer.suffixes, minlength=len(ngrams.keys))
    return np.where(num_before > 0, num_before, ngrams.counts)


def interpolate(ngrams: NgramCounts, counts: Ids, lower_probs: Floats) -> tuple[Floats, Floats]:
    """Probability of each n-gram's last token, and the gamma of each n-gram of the order below.

    Args:
        ngrams: those of one order.
        counts: adjusted, (num_ngrams,).
        lower_probs: probabilities of the order below, (num_lower,).
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
    """What is taken off a count of 0, 1, 2 and of 3 or more: (4,).

    Chen & Goodman 1999, eq. 26. All fall back to `FALLBACK_DISCOUNTS` where one cannot be had, is
    below 0, or is 0, which could leave nothing for tokens not seen.
    """
    _, n1, n2, n3, n4, *_ = np.bincount(np.minimum(counts, 5), minlength=6)
    discounts = FALLBACK_DISCOUNTS
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        estimates = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if min(estimates) > 0:
            discounts = estimates
    return np.array([0.0, *discounts])
