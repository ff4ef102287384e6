"""Windows of continuous streams, with the state carried from each window to the next."""

import numpy as np
from numpy.typing import NDArray

from charlm.data.window import NOT_PREDICTED, Window


class StreamWindows:
    """Windows of `batch_size` parallel streams. The state is carried across frames.

    Tokens 0..10 with batch_size=2, bptt=3:

        inputs  0 1 2 | 3 4        targets  1 2 3 | 4 5
                5 6 7 | 8 9                 6 7 8 | 9 10

    Every token is a target, except the first, each `<start>`, and the fewer than batch_size tokens
    at the end that do not fill all streams.
    """

    def __init__(
        self,
        tokens: NDArray[np.integer],
        *,
        batch_size: int,
        bptt: int,
        start_id: int,
        cuts: NDArray[np.int64] | None = None,
        begins: NDArray[np.int64] | None = None,
    ) -> None:
        """Divide the text into streams, and the streams into windows.

        Args:
            tokens: token ids of the text: (num_tokens,). Each window is read when it is requested.
            batch_size: number of streams.
            bptt: tokens per window; the last may be shorter.
            start_id: id of `<start>`, which is never predicted.
            cuts: (num_windows + 1,), increasing from 0 to the length of a stream: bounds of the
                windows, instead of every `bptt` tokens.
            begins: (batch_size,): index of the first token to read in each stream. The tokens
                before it are read last. Each token keeps its target.
        """
        length = (len(tokens) - 1) // batch_size
        used = length * batch_size
        self._inputs = tokens[:used].reshape(batch_size, length)
        self._targets = tokens[1 : used + 1].reshape(batch_size, length)
        self._start_id = start_id
        self._cuts = np.append(np.arange(0, length, bptt), length) if cuts is None else cuts
        self._begins = begins

    def __len__(self) -> int:
        return len(self._cuts) - 1

    def __getitem__(self, index: int) -> Window:
        if not 0 <= index < len(self):
            raise IndexError(index)
        begin, end = self._cuts[index : index + 2]
        inputs = self._read(self._inputs, begin, end)
        targets = self._read(self._targets, begin, end)
        targets[targets == self._start_id] = NOT_PREDICTED
        return Window(inputs, targets, np.full(len(targets), index == 0))

    def _read(self, rows: NDArray[np.integer], begin: int, end: int) -> NDArray[np.int64]:
        if self._begins is None:
            return rows[:, begin:end].astype(np.int64)
        columns = (self._begins[:, None] + np.arange(begin, end)) % rows.shape[1]
        read: NDArray[np.integer] = rows[np.arange(len(rows))[:, None], columns]
        return read.astype(np.int64)
