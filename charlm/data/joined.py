"""Concatenation of token arrays without copying them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class JoinedTokens:
    """View of the tokens of several labels as one array: label 0 first, then label 1, ...

    Raises:
        IndexError: an index is out of range.
    """

    def __init__(self, arrays: Sequence[NDArray[np.unsignedinteger]]) -> None:
        self._arrays = list(arrays)
        self.bounds: NDArray[np.int64] = np.cumsum([0, *(len(array) for array in arrays)])

    def __len__(self) -> int:
        return int(self.bounds[-1])

    def __getitem__(self, where: "int | slice | NDArray[np.int64]") -> NDArray[np.unsignedinteger]:
        """Return the tokens in a slice of step 1, or at indices of any shape."""
        if isinstance(where, slice):
            begin, end, step = where.indices(len(self))
            assert step == 1
            cut = [
                array[max(0, begin - first) : max(0, end - first)]
                for array, first in zip(self._arrays, self.bounds[:-1].tolist(), strict=True)
            ]
            return np.concatenate(cut)
        places = np.asarray(where)
        labels = self.labels(places)
        found = np.empty(places.shape, dtype=self._arrays[0].dtype)
        for label in np.unique(labels):
            own = labels == label
            found[own] = self._arrays[label][places[own] - self.bounds[label]]
        return found

    def __array__(
        self, dtype: None = None, copy: bool | None = None
    ) -> NDArray[np.unsignedinteger]:
        """Return a copy of all tokens: (num_tokens,)."""
        return self[:]

    def labels(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the label of the token at each place, in the shape of `places`."""
        labels: NDArray[np.int64] = self.bounds.searchsorted(places, side="right") - 1
        return labels

    def heads(self, count: int) -> "JoinedTokens":
        """Return the same share of the tokens of each label, taken from its beginning.

        The total is `count` tokens or a few less; all tokens if there are fewer.
        """
        share = min(1.0, count / max(1, len(self)))
        return JoinedTokens([array[: int(share * len(array))] for array in self._arrays])


Tokens = NDArray[np.integer] | JoinedTokens
