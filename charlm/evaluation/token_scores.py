"""What a predictor said of consecutive tokens of a text, before it saw each."""

from dataclasses import dataclass

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
