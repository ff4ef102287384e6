"""What a predictor said of consecutive tokens of a text, before it saw each."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenScores:
    """Scores of predicted tokens (all but `<start>`) in the order of the text, each array (n,).

    The last three are None where they were not asked for.
    """

    targets: NDArray[np.int64]
    nats: NDArray[np.float64]  # surprisal: -log P of the target
    entropy: NDArray[np.float64] | None = None  # of the whole distribution, in nats
    rank: NDArray[np.int64] | None = None  # of the target: 1 + the number of likelier tokens
    ending: NDArray[np.float64] | None = None  # -log P, in nats, of all tokens that end a word

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, order: NDArray[np.int64]) -> "TokenScores":
        """Those at these places, in this order."""
        arrays: dict[str, Any] = {}
        for field in fields(self):
            array = getattr(self, field.name)
            arrays[field.name] = None if array is None else array[order]
        return TokenScores(**arrays)


def join_scores(parts: Iterable[TokenScores]) -> TokenScores:
    """Several one after the other; at least one, all with the same arrays."""
    found = list(parts)
    arrays: dict[str, Any] = {}
    for field in fields(TokenScores):
        pieces = [getattr(part, field.name) for part in found]
        arrays[field.name] = None if pieces[0] is None else np.concatenate(pieces)
    return TokenScores(**arrays)
