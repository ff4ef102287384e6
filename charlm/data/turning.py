"""Reversal of token sequences, for backward models.

The tokens of the whole text are reversed, and the `<start>` and `<stop>` of each frame are
exchanged, so that the result is a valid text:

    <start> a b <stop> <start> c <stop>   ->   <start> c <stop> <start> b a <stop>
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from charlm.data.token_file import TokenFile, write_tokens
from charlm.text import Tokenizer

CHUNK = 1 << 20  # tokens reversed at a time


def write_turned(path: Path, text: TokenFile, tokenizer: Tokenizer) -> TokenFile:
    """Write a token file with the tokens of a text in reverse.

    The memory use does not depend on the length of the text.

    Raises:
        StorageError: the file cannot be written, or does not contain what was written.
    """
    tokens = text.array
    batches = (
        turn(tokens[max(0, end - CHUNK) : end], tokens[end : end + 1], tokenizer)
        for end in range(len(tokens), 0, -CHUNK)
    )
    return write_tokens(path, batches, tokenizer.vocab_size, lambda: text.counts)


def turn(
    tokens: NDArray[np.unsignedinteger],
    following: NDArray[np.unsignedinteger],
    tokenizer: Tokenizer,
) -> NDArray[np.unsignedinteger]:
    """Return consecutive tokens of a text in reverse: (num_tokens,).

    `following` holds the next token of the text; it is empty at the end of the text.
    """
    turned = np.array(tokens)
    turned[frame_ends(tokens, following, tokenizer)] = tokenizer.start_id
    turned[tokens == tokenizer.start_id] = tokenizer.stop_id
    return turned[::-1]


def frame_ends(
    tokens: NDArray[np.unsignedinteger],
    following: NDArray[np.unsignedinteger],
    tokenizer: Tokenizer,
) -> NDArray[np.bool_]:
    """Return a mask of the `<stop>` tokens that end a frame: (num_tokens,).

    A `<stop>` that is written out in the text may occur inside a frame.
    """
    last = following[:1] == tokenizer.start_id if len(following) else [True]
    before_start = np.append(tokens[1:] == tokenizer.start_id, last)
    ends: NDArray[np.bool_] = (tokens == tokenizer.stop_id) & before_start
    return ends


def turned_places(tokens: NDArray[np.unsignedinteger], tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Return the place in `tokens` of each token that is predicted in the reversed text.

    The order is that of the reversed text: (num_predicted,). The `<stop>` that ends a reversed
    frame is where the frame's `<start>` was. It is given the place of the frame's own `<stop>`, so
    that each frame has the same predicted places in both directions.
    """
    ends = frame_ends(tokens, tokens[:0], tokenizer)
    places = np.arange(len(tokens))
    starts = np.flatnonzero(tokens == tokenizer.start_id)
    places[starts] = np.flatnonzero(ends)
    return places[~ends][::-1]
