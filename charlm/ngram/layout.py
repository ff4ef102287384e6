"""Numbering of n-grams by context, then token, so that tokens of one context are adjacent.

The context of an n-gram is the n-gram without its last token, and has a number of its own in the
order below. The number of a 1-gram is its token id; -1 means no n-gram. One integer is therefore
the key of an n-gram of any length, and the n-grams of an order are a sorted array of keys:

    key = context * vocab_size + token
"""

import numpy as np
from numpy.typing import NDArray

from charlm.errors import ConfigError

Ids = NDArray[np.int64]

LARGEST_KEY = np.iinfo(np.int64).max
NO_NGRAM = -1


def ngram_keys(contexts: Ids, tokens: Ids, vocab_size: int) -> Ids:
    """Return the keys of contexts followed by tokens; the key is negative for context -1.

    Raises:
        ConfigError: there are more n-grams than 64 bits can number.
    """
    num_contexts = int(contexts.max(initial=0)) + 1
    if num_contexts * vocab_size > LARGEST_KEY:
        raise ConfigError(
            f"{num_contexts:,} contexts of {vocab_size:,} tokens are more n-grams than 64 bits can "
            "number; choose a smaller vocabulary or a lower order."
        )
    return contexts * vocab_size + tokens


def contexts_before(endings: Ids, tokens: Ids, start_id: int) -> Ids:
    """Return the n-gram that precedes each token, given the one that ends at each token.

    The first token and `<start>` have no context (-1), so that no context spans two frames. All
    arrays are (num_tokens,).
    """
    contexts = np.full_like(endings, NO_NGRAM)
    contexts[1:] = endings[:-1]
    contexts[tokens == start_id] = NO_NGRAM
    return contexts
