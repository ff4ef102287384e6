"""Windows of independent frames.

For a gigabyte of short lines, the positions of all windows would take more memory than the text.
So only the position of every `BLOCK`-th window is stored, and the others are computed on demand.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from charlm.data.joined import JoinedTokens, Tokens
from charlm.data.window import NOT_PREDICTED, Window

BLOCK = 1024  # windows
CHUNK = 1 << 20  # tokens searched at a time
NEAR = 1 << 12  # tokens searched at a time for the end of one frame


class FrameWindows:
    """Windows of `batch_size` streams of whole frames. The state is reset at each `<start>`.

    Frames abc, de, fghi and jk, with <start> and <stop> among the letters, batch_size=2, bptt=2:

        inputs  a b | d .          targets  b c | e .
                f g | h . | j .             g h | i . | k .

    A window ends with its frame; dots are padding. Each stream consists of consecutive frames, and
    the streams have about equal numbers of tokens: a frame belongs to the stream that contains its
    middle. Every token except `<start>` is a target.
    """

    def __init__(
        self,
        tokens: Tokens,
        *,
        batch_size: int,
        bptt: int,
        start_id: int,
        lengths_from: int | None = None,
    ) -> None:
        """Assign the frames to the streams.

        Args:
            tokens: token ids of the text: (num_tokens,).
            batch_size: number of streams.
            bptt: maximum number of tokens per window.
            start_id: id of `<start>`.
            lengths_from: id of the length token for 0 symbols. A frame of n symbols then begins
                with the id `lengths_from + n` instead of `<start>`. None: no length tokens.
        """
        self._tokens = tokens
        self._bptt = bptt
        self._start_id = start_id
        self._lengths_from = lengths_from
        counts = np.zeros(batch_size, dtype=np.int64)  # number of windows of each stream
        blocks, done = [], 0
        for starts, ends in find_frames(tokens, start_id):
            num_windows = -(-(ends - starts - 1) // bptt)
            np.add.at(counts, (starts + ends) * batch_size // (2 * len(tokens)), num_windows)
            after = done + num_windows.cumsum()
            numbers = np.arange(-(-done // BLOCK) * BLOCK, after[-1], BLOCK)
            frame = after.searchsorted(numbers, side="right")
            earlier = numbers - (after - num_windows)[frame]  # earlier windows of the same frame
            blocks.append(starts[frame] + earlier * bptt)
            done = int(after[-1])
        # Windows are numbered across streams: first all of stream 0, then all of stream 1, ...
        self._firsts = np.append(0, counts.cumsum())
        self._blocks = np.concatenate([*blocks, [len(tokens)]])
        self._num_windows = int(counts.max())
        self._found: list[tuple[int, NDArray[np.int64]]] = [(-1, NO_PLACES)] * batch_size

    def __len__(self) -> int:
        return self._num_windows

    def __getitem__(self, index: int) -> Window:
        if not 0 <= index < len(self):
            raise IndexError(index)
        places = np.array([self._place(b, index) for b in range(len(self._found))])
        begins, lengths, totals = places.T
        time = np.arange(max(lengths.max(), 1))
        padding = time >= lengths[:, None]
        positions = np.where(padding, 0, begins[:, None] + time)
        inputs = self._tokens[positions].astype(np.int64)
        targets = self._tokens[np.where(padding, 0, positions + 1)].astype(np.int64)
        targets[padding] = NOT_PREDICTED
        labels = self._tokens.labels(begins) if isinstance(self._tokens, JoinedTokens) else None
        fresh = inputs[:, 0] == self._start_id
        if self._lengths_from is not None:
            inputs[fresh, 0] = self._lengths_from + totals[fresh]
        return Window(inputs, targets, fresh, labels)

    def _place(self, stream: int, index: int) -> NDArray[np.int64]:
        """Return begin and length of a window and the number of symbols in its frame: (3,).

        All are 0 after the end of the stream.
        """
        number = self._firsts[stream] + index
        if number >= self._firsts[stream + 1]:
            return np.zeros(3, dtype=np.int64)
        block, within = divmod(int(number), BLOCK)
        if self._found[stream][0] != block:
            self._found[stream] = block, self._read_block(block)
        place: NDArray[np.int64] = self._found[stream][1][within]
        return place

    def _read_block(self, block: int) -> NDArray[np.int64]:
        """Return begin, length and number of symbols in the frame of each window: (<= `BLOCK`, 3).

        If a frame continues from an earlier block, only its remaining symbols are counted.
        """
        begin, end = self._blocks[block : block + 2]
        inside = begin + 1 + np.flatnonzero(self._tokens[begin + 1 : end] == self._start_id)
        starts = np.append(begin, inside)
        lengths = np.diff(starts, append=end)
        lengths[:-1] -= 1  # the token before a <start> has no target
        if end == len(self._tokens) or self._tokens[end] == self._start_id:
            lengths[-1] -= 1
        num_symbols = lengths - 1
        num_symbols[-1] = self._end_of_frame(int(end)) - starts[-1] - 2  # <start> and <stop>
        num_windows = -(-lengths // self._bptt)
        frame = np.repeat(np.arange(len(starts)), num_windows)
        first = num_windows.cumsum() - num_windows
        done = (np.arange(len(frame)) - first[frame]) * self._bptt
        own = np.minimum(lengths[frame] - done, self._bptt)
        return np.stack([starts[frame] + done, own, num_symbols[frame]], 1)

    def _end_of_frame(self, place: int) -> int:
        """Return where the frame that `place` is in, or at the end of, ends."""
        while place < len(self._tokens):
            found = np.flatnonzero(self._tokens[place : place + NEAR] == self._start_id)
            if len(found):
                return place + int(found[0])
            place += NEAR
        return len(self._tokens)


NO_PLACES = np.zeros((0, 3), dtype=np.int64)


def find_frames(
    tokens: Tokens, start_id: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the starts and the ends of frames, (num_frames,) each, for every `CHUNK` tokens.

    The end of a frame is the start of the next one, or the end of the text.
    """
    starts = np.zeros(0, dtype=np.int64)
    for at in range(0, len(tokens), CHUNK):
        found = np.flatnonzero(tokens[at : at + CHUNK] == start_id)
        starts = np.concatenate([starts[-1:], at + found])  # the last frame has no end yet
        ends = starts[1:]
        if len(starts) and at + CHUNK >= len(tokens):
            ends = np.append(ends, len(tokens))
        if len(ends):
            yield starts[: len(ends)], ends
