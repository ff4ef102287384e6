"""Token counts, and the share of a text that the N most frequent tokens cover."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charlm.data.text_part import LabelledPart, TextPart
from charlm.data.token_file import TokenFile, batch_pieces
from charlm.text import Tokenizer

CHUNK = 1 << 22  # tokens counted at a time


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Token ids and counts in order of decreasing frequency: (vocab_size - 2,) each.

    `<start>` and `<stop>` are left out.
    """

    ids: NDArray[np.int64]
    counts: NDArray[np.int64]
    other_id: int

    @property
    def num_tokens(self) -> int:
        """Number of tokens in the text."""
        return int(self.counts.sum())

    def coverage(self, size: int) -> float:
        """Return the share of the tokens that the `size` most frequent symbols cover."""
        known = self.counts[self.ids != self.other_id]
        return float(known[:size].sum()) / max(self.num_tokens, 1)

    def coverage_steps(self) -> list[tuple[int, float]]:
        """Return pairs of size and coverage for 1, 2, 5, 10, 20, 50, ... symbols and for all."""
        num_symbols = len(self.ids) - 1
        steps = [factor * 10**power for power in range(7) for factor in (1, 2, 5)]
        sizes = [size for size in steps if size < num_symbols]
        return [(size, self.coverage(size)) for size in [*sizes, num_symbols]]


def count_ids(text: TokenFile, vocab_size: int) -> NDArray[np.int64]:
    """Count the occurrences of each id in an encoded text: (vocab_size,)."""
    counts = np.zeros(vocab_size, dtype=np.int64)
    for at in range(0, len(text), CHUNK):
        counts += np.bincount(text.tokens[at : at + CHUNK], minlength=vocab_size)
    return counts


def count_other(text: TokenFile, tokenizer: Tokenizer) -> tuple[int, int]:
    """Return the number of `<other>` tokens and the number of predicted tokens of a text."""
    num_other = num_predicted = 0
    for at in range(0, len(text), CHUNK):
        chunk = text.tokens[at : at + CHUNK]
        num_other += int(np.count_nonzero(chunk == tokenizer.other_id))
        num_predicted += int(np.count_nonzero(chunk != tokenizer.start_id))
    return num_other, num_predicted


def count_tokens(text: TextPart | LabelledPart, tokenizer: Tokenizer) -> TokenCounts:
    """Encode a text and count its tokens."""
    counts = np.zeros(tokenizer.vocab_size, dtype=np.int64)
    for batch in batch_pieces(text.pieces()):
        for ids in tokenizer.encode_batch([piece.text for piece in batch]):
            counts += np.bincount(ids, minlength=len(counts))
    order = np.argsort(-counts, kind="stable")
    order = order[(order != tokenizer.start_id) & (order != tokenizer.stop_id)]
    return TokenCounts(order, counts[order], tokenizer.other_id)
