"""The windows of a whole run, epoch after epoch, in each epoch alike or cut anew."""

from bisect import bisect_right
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from charlm.data.joined import Tokens
from charlm.data.stream_windows import StreamWindows
from charlm.data.window import Window
from charlm.data.windows import Windows, make_windows
from charlm.errors import ConfigError

HALVED = 0.05  # of the windows have half the length: Merity et al. 2018, sec. 4.1
DEVIATION = 5  # tokens, of a window's length from its mean
SHORTEST = 5  # tokens; each window costs the same launch of kernels
EXCESS = 10  # tokens that a window may be longer than bptt, so that memory is bounded


class Epochs(Protocol):
    """All windows of a run, numbered from 0 through its epochs; a number always gives the same."""

    def __len__(self) -> int:
        """Windows of an epoch; where that varies, of one with windows of the mean length."""
        ...

    def window(self, number: int) -> Window:
        """Window `number` of the run."""
        ...


class EqualEpochs:
    """The same windows in every epoch."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    def __len__(self) -> int:
        return len(self._windows)

    def window(self, number: int) -> Window:
        return self._windows[number % len(self._windows)]


class DrawnEpochs:
    """Streams that are cut anew in each epoch, as the seed and the epoch's number will have it.

    Args:
        tokens: of the text.
        batch_size: streams.
        bptt: tokens a window, or about so many.
        start_id: `<start>`, which is never predicted.
        variable_bptt: draw the length of each window: about bptt, or with probability 0.05 about
            half of it, with a standard deviation of 5 (Merity et al. 2018, arXiv:1708.02182,
            sec. 4.1). A token then stands at another place of its window in each epoch.
        partial_shuffle: begin each stream at a place drawn for it, and put what comes before that
            place at its end (Press 2019, arXiv:1903.04167). Tokens then meet other tokens in their
            batch. Every token is still predicted after the token before it; only where the ends
            are joined does the state come from elsewhere.
        seed: of all this.
    """

    def __init__(
        self,
        tokens: NDArray[np.integer],
        *,
        batch_size: int,
        bptt: int,
        start_id: int,
        variable_bptt: bool,
        partial_shuffle: bool,
        seed: int,
    ) -> None:
        self._tokens = tokens
        self._batch_size = batch_size
        self._bptt = bptt
        self._start_id = start_id
        self._variable_bptt = variable_bptt
        self._partial_shuffle = partial_shuffle
        self._seed = seed
        self._length = (len(tokens) - 1) // batch_size
        self._starts = [0]  # number of each known epoch's first window
        self._epoch = -1
        self._windows: StreamWindows | None = None

    def __len__(self) -> int:
        mean = self._bptt * (1 - HALVED / 2) if self._variable_bptt else self._bptt
        return -int(-self._length // mean)

    def window(self, number: int) -> Window:
        while number >= self._starts[-1]:
            self._starts.append(self._starts[-1] + len(self._draw(len(self._starts) - 1)))
        epoch = bisect_right(self._starts, number) - 1
        return self._draw(epoch)[number - self._starts[epoch]]

    def _draw(self, epoch: int) -> StreamWindows:
        """The windows of an epoch; those asked for last are kept."""
        if self._windows is None or epoch != self._epoch:
            random = np.random.default_rng((self._seed, epoch))
            begins = random.integers(0, self._length, self._batch_size)
            cuts = draw_cuts(random, self._length, self._bptt)
            self._epoch = epoch
            self._windows = StreamWindows(
                self._tokens,
                batch_size=self._batch_size,
                bptt=self._bptt,
                start_id=self._start_id,
                cuts=cuts if self._variable_bptt else None,
                begins=begins if self._partial_shuffle else None,
            )
        return self._windows


def draw_cuts(random: np.random.Generator, length: int, bptt: int) -> NDArray[np.int64]:
    """From 0 to `length` in steps of drawn lengths, of which the last is cut short."""
    count = length // bptt + 1  # nearly always too few by some
    pieces = [np.zeros(1, dtype=np.int64)]
    while sum(int(piece.sum()) for piece in pieces) < length:
        means = np.where(random.random(count) < HALVED, bptt / 2, bptt)
        drawn = np.rint(random.normal(means, DEVIATION)).astype(np.int64)
        pieces.append(drawn.clip(min(SHORTEST, bptt), bptt + EXCESS))
    cuts = np.concatenate(pieces).cumsum()
    return np.append(cuts[cuts < length], length)


def make_epochs(
    tokens: Tokens,
    *,
    batch_size: int,
    bptt: int,
    start_id: int,
    independent_frames: bool,
    lengths_from: int | None = None,
    variable_bptt: bool = False,
    partial_shuffle: bool = False,
    seed: int = 1,
) -> Epochs:
    """All windows of a run over a text: one stream of frames, or each frame by itself.

    Raises:
        ConfigError: the windows of independent frames are where the frames are, nowhere else.
    """
    for name, asked in (("variable-bptt", variable_bptt), ("partial-shuffle", partial_shuffle)):
        if asked and independent_frames:
            raise ConfigError(
                f"--{name} has no effect with --independent-frames, whose windows begin and end "
                "with the frames; leave one of the two out."
            )
    if variable_bptt or partial_shuffle:
        assert isinstance(tokens, np.ndarray)
        return DrawnEpochs(
            tokens,
            batch_size=batch_size,
            bptt=bptt,
            start_id=start_id,
            variable_bptt=variable_bptt,
            partial_shuffle=partial_shuffle,
            seed=seed,
        )
    return EqualEpochs(
        make_windows(
            tokens,
            batch_size=batch_size,
            bptt=bptt,
            start_id=start_id,
            independent_frames=independent_frames,
            lengths_from=lengths_from,
        )
    )
