"""Scores of consecutive tokens of a text under a predictor."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenScores:
    """Scores of predicted tokens in the order of the text; all arrays are (num_tokens,).

    All tokens except `<start>` are predicted. The last three fields are None if not requested.
    """

    targets: NDArray[np.int64]
    nats: NDArray[np.float64]  # surprisal: -log P of the target
    entropy: NDArray[np.float64] | None = None  # of the whole distribution, in nats
    rank: NDArray[np.int64] | None = None  # of the target: 1 + the number of more probable tokens
    ending: NDArray[np.float64] | None = None  # -log P, in nats, of all tokens that end a word

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, order: NDArray[np.int64]) -> "TokenScores":
        """Return the scores at the given indices, in this order."""
        arrays: dict[str, Any] = {}
        for field in fields(self):
            array = getattr(self, field.name)
            arrays[field.name] = None if array is None else array[order]
        return TokenScores(**arrays)


def join_scores(parts: Iterable[TokenScores]) -> TokenScores:
    """Concatenate scores; there must be at least one part, and all must have the same fields."""
    found = list(parts)
    arrays: dict[str, Any] = {}
    for field in fields(TokenScores):
        pieces = [getattr(part, field.name) for part in found]
        arrays[field.name] = None if pieces[0] is None else np.concatenate(pieces)
    return TokenScores(**arrays)
