"""Windows of a whole run: the same in every epoch, or redrawn in each epoch."""

from bisect import bisect_right
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from charlm.data.joined import Tokens
from charlm.data.stream_windows import StreamWindows
from charlm.data.window import Window
from charlm.data.windows import Windows, make_windows
from charlm.errors import ConfigError

HALVED = 0.05  # share of windows of half the length: Merity et al. 2018, sec. 4.1
DEVIATION = 5  # tokens; standard deviation of a window's length
SHORTEST = 5  # tokens; kernel launches cost as much for a short window as for a long one
EXCESS = 10  # tokens by which a window may exceed bptt; bounds the memory use


class Epochs(Protocol):
    """Windows of a run, numbered from 0 across all epochs.

    The same number always gives the same window.
    """

    def __len__(self) -> int:
        """Return the number of windows in an epoch; an estimate if window lengths vary."""
        ...

    def window(self, number: int) -> Window:
        """Return window `number` of the run."""
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
    """Streams with random windows, redrawn in each epoch from the seed and the epoch number.

    Args:
        tokens: token ids of the text: (num_tokens,).
        batch_size: number of streams.
        bptt: tokens per window; the typical number with `variable_bptt`.
        start_id: id of `<start>`, which is never predicted.
        variable_bptt: draw the length of each window from a normal distribution with mean bptt,
            or bptt / 2 with probability 0.05, and standard deviation 5 (Merity et al. 2018,
            arXiv:1708.02182, sec. 4.1), limited to 5 .. bptt + 10. The position of a token in its
            window then varies between epochs.
        partial_shuffle: rotate each stream by a random offset (Press 2019, arXiv:1903.04167). The
            tokens that share a batch then vary between epochs. Every token is still predicted
            from the token before it; only at the seam does the state come from elsewhere.
        seed: random seed.
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
        self._starts = [0]  # number of the first window of each known epoch
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
        """Return the windows of an epoch. Those of the last requested epoch are cached."""
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
    """Return random bounds of windows from 0 to `length`: (num_windows + 1,).

    The last window is cut short.
    """
    count = length // bptt + 1  # nearly always slightly too few
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
    """Return the windows of a run over a text: streams of frames, or independent frames.

    The arguments are those of `FrameWindows` and `DrawnEpochs`.

    Raises:
        ConfigError: `variable_bptt` or `partial_shuffle` is set for independent frames.
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
