"""How n-grams are numbered: by context, then token, so that a context's tokens lie side by side.

The context of an n-gram is all of it but its last token: itself an n-gram, one token shorter, known
by its own number. The number of a 1-gram is its token's id. -1 stands for no n-gram. So one integer
is the key of an n-gram of any length, and the n-grams of an order are a sorted array of keys:

    key = context * vocab_size + token
"""

import numpy as np
from numpy.typing import NDArray

from charlm.errors import ConfigError

Ids = NDArray[np.int64]

LARGEST_KEY = np.iinfo(np.int64).max
NO_NGRAM = -1


def ngram_keys(contexts: Ids, tokens: Ids, vocab_size: int) -> Ids:
    """Keys of the n-grams that are these contexts followed by these tokens; below 0 without one.

    Raises:
        ConfigError: there are more contexts than 64 bits can tell apart.
    """
    num_contexts = int(contexts.max(initial=0)) + 1
    if num_contexts * vocab_size > LARGEST_KEY:
        raise ConfigError(
            f"{num_contexts:,} contexts of {vocab_size:,} tokens are more n-grams than 64 bits can "
            "number; choose a smaller vocabulary or a lower order."
        )
    return contexts * vocab_size + tokens


def contexts_before(endings: Ids, tokens: Ids, start_id: int) -> Ids:
    """The n-gram that each token follows, where `endings` holds the one that ends at each token.

    Nothing stands before the first token, nor before `<start>`: no context reaches over it.
    """
    contexts = np.full_like(endings, NO_NGRAM)
    contexts[1:] = endings[:-1]
    contexts[tokens == start_id] = NO_NGRAM
    return contexts
