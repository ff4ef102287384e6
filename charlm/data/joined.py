"""Token arrays one after the other, as one, without copying them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class JoinedTokens:
    """Reads like one array of all tokens; those of label 0 come first, then those of label 1, ...

    Raises:
        IndexError: where it is read beyond its ends.
    """

    def __init__(self, arrays: Sequence[NDArray[np.unsignedinteger]]) -> None:
        self._arrays = list(arrays)
        self.bounds: NDArray[np.int64] = np.cumsum([0, *(len(array) for array in arrays)])

    def __len__(self) -> int:
        return int(self.bounds[-1])

    def __getitem__(self, where: "int | slice | NDArray[np.int64]") -> NDArray[np.unsignedinteger]:
        """Tokens of a range, or at places of any shape."""
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
        """All tokens, copied."""
        return self[:]

    def labels(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """The label of the token at each place."""
        labels: NDArray[np.int64] = self.bounds.searchsorted(places, side="right") - 1
        return labels

    def heads(self, count: int) -> "JoinedTokens":
        """The first tokens of each label, `count` in all or a few less, in equal shares."""
        share = min(1.0, count / max(1, len(self)))
        return JoinedTokens([array[: int(share * len(array))] for array in self._arrays])


Tokens = NDArray[np.integer] | JoinedTokens
