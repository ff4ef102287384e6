"""The windows of a text, in either of two ways."""

from typing import Protocol

import numpy as np

from charlm.data.frame_windows import FrameWindows
from charlm.data.joined import Tokens
from charlm.data.stream_windows import StreamWindows
from charlm.data.window import Window


class Windows(Protocol):
    """One epoch: the windows of a text in order. Row b of a window goes on in row b of the next."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Window: ...


def make_windows(
    tokens: Tokens,
    *,
    batch_size: int,
    bptt: int,
    start_id: int,
    independent_frames: bool,
    lengths_from: int | None = None,
) -> Windows:
    """The windows of a text: one stream of frames, or each frame by itself, with its length.

    The arguments are those of `FrameWindows`.
    """
    if independent_frames:
        return FrameWindows(
            tokens,
            batch_size=batch_size,
            bptt=bptt,
            start_id=start_id,
            lengths_from=lengths_from,
        )
    assert lengths_from is None
    assert isinstance(tokens, np.ndarray)  # texts of several labels are no stream
    return StreamWindows(tokens, batch_size=batch_size, bptt=bptt, start_id=start_id)
