"""Counts of the distinct n-grams of a text."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from charlm.ngram.layout import NO_NGRAM, Ids, contexts_before, ngram_keys


@dataclass(frozen=True, slots=True)
class NgramCounts:
    """All n-grams of one order, sorted by context, then token; arrays are (num_ngrams,).

    The order below 1 has one n-gram without tokens, which is the context and suffix of every
    1-gram.
    """

    keys: Ids
    contexts: Ids  # n-gram without its last token: its number in the order below
    suffixes: Ids  # n-gram without its first token: its number in the order below
    counts: Ids


def count_ngrams(
    tokens: ArrayLike, *, order: int, vocab_size: int, start_id: int
) -> list[NgramCounts]:
    """Count the n-grams of each order from 1 to `order`.

    The 1-grams are the whole vocabulary, including tokens that do not occur. `<start>` is only a
    context: its count is 0, and longer n-grams contain it only as their first token.

    Args:
        tokens: concatenated frames, (num_tokens,), ids below `vocab_size`.
        order: highest order, at least 1.
        vocab_size: number of token ids, `<start>` included.
        start_id: id of `<start>`.

    Raises:
        ConfigError: there are more n-grams than 64 bits can number.
    """
    text = np.asarray(tokens, dtype=np.int64)
    assert text.min(initial=0) >= 0 and text.max(initial=0) < vocab_size
    counted = [count_tokens(text, vocab_size, start_id)]
    endings = text
    for _ in range(1, order):
        ngrams, endings = count_longer(endings, text, vocab_size, start_id)
        counted.append(ngrams)
    return counted


def count_tokens(text: Ids, vocab_size: int, start_id: int) -> NgramCounts:
    """Count the 1-grams."""
    counts = np.bincount(text, minlength=vocab_size)
    counts[start_id] = 0
    nothing = np.zeros(vocab_size, dtype=np.int64)
    return NgramCounts(np.arange(vocab_size), nothing, nothing, counts)


def count_longer(
    endings: Ids, text: Ids, vocab_size: int, start_id: int
) -> tuple[NgramCounts, Ids]:
    """Count the n-grams of the next order.

    Args:
        endings: number of the n-gram that ends at each token, (num_tokens,); -1 for none.
        text: token ids, (num_tokens,).
        vocab_size: number of token ids, `<start>` included.
        start_id: id of `<start>`.

    Returns: the n-grams that are one token longer, and their `endings`.
    """
    contexts = contexts_before(endings, text, start_id)
    places = np.flatnonzero(contexts != NO_NGRAM)
    keys, first_places, numbers, counts = np.unique(
        ngram_keys(contexts[places], text[places], vocab_size),
        return_index=True,
        return_inverse=True,
        return_counts=True,
    )
    first_places = places[first_places]
    longer_endings = np.full_like(endings, NO_NGRAM)
    longer_endings[places] = numbers
    return NgramCounts(keys, contexts[first_places], endings[first_places], counts), longer_endings
