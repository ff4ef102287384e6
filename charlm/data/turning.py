"""A text from its end to its beginning, for models that predict the past from the future.

The tokens of all frames turn round, and the marks at their ends change places, so that what is
turned is a text like any other:

    <start> a b <stop> <start> c <stop>   ->   <start> c <stop> <start> b a <stop>
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from charlm.data.token_file import TokenFile, write_tokens
from charlm.text import Tokenizer

CHUNK = 1 << 20  # tokens turned at a time


def write_turned(path: Path, text: TokenFile, tokenizer: Tokenizer) -> TokenFile:
    """Write a text's tokens turned round; memory does not grow with it.

    Raises:
        StorageError: the file cannot be written.
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
    """Some tokens of a text turned round, given the token that follows, if any does."""
    turned = np.array(tokens)
    turned[frame_ends(tokens, following, tokenizer)] = tokenizer.start_id
    turned[tokens == tokenizer.start_id] = tokenizer.stop_id
    return turned[::-1]


def frame_ends(
    tokens: NDArray[np.unsignedinteger],
    following: NDArray[np.unsignedinteger],
    tokenizer: Tokenizer,
) -> NDArray[np.bool_]:
    """Where `<stop>` ends a frame: one that was written out may stand within."""
    last = following[:1] == tokenizer.start_id if len(following) else [True]
    before_start = np.append(tokens[1:] == tokenizer.start_id, last)
    ends: NDArray[np.bool_] = (tokens == tokenizer.stop_id) & before_start
    return ends


def turned_places(tokens: NDArray[np.unsignedinteger], tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Of each token that is predicted in the turned text, in its order, the place in this one.

    The `<stop>` that ends a turned frame stands where the frame's `<start>` was; it counts as the
    frame's own `<stop>`, so that each frame has as many predicted tokens in either direction, and
    at the same places.
    """
    ends = frame_ends(tokens, tokens[:0], tokenizer)
    places = np.arange(len(tokens))
    starts = np.flatnonzero(tokens == tokenizer.start_id)
    places[starts] = np.flatnonzero(ends)
    return places[~ends][::-1]
