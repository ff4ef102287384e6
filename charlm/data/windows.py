"""Windows of a text: continuous streams or independent frames."""

from typing import Protocol

import numpy as np

from charlm.data.frame_windows import FrameWindows
from charlm.data.joined import Tokens
from charlm.data.stream_windows import StreamWindows
from charlm.data.window import Window


class Windows(Protocol):
    """Windows of one epoch in order. Row b of a window continues in row b of the next."""

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
    """Return the windows of a text: continuous streams, or independent frames.

    The arguments are those of `FrameWindows`. `lengths_from` requires `independent_frames`.
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
    assert isinstance(tokens, np.ndarray)  # texts of several labels are not a continuous stream
    return StreamWindows(tokens, batch_size=batch_size, bptt=bptt, start_id=start_id)
