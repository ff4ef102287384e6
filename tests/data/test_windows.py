"""Windows: every token is a target once, in order, after the tokens that came before it."""

from itertools import accumulate
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.data import frame_windows
from charlm.data.frame_windows import FrameWindows
from charlm.data.stream_windows import StreamWindows
from charlm.data.window import NOT_PREDICTED
from charlm.data.windows import make_windows

START = 0
frame_lists = st.lists(st.integers(1, 9), max_size=12)
batch_sizes = st.integers(1, 5)
bptts = st.integers(1, 6)


def tokens_of(lengths):
    """Frames of START and `length` tokens each; all tokens but START are different."""
    ids = iter(range(1, sum(lengths) + 1))
    tokens = [token for length in lengths for token in (START, *(next(ids) for _ in range(length)))]
    return np.array(tokens, dtype=np.uint16)


def frames_of(lengths):
    ends = list(accumulate(lengths))
    return [list(range(end - n + 1, end + 1)) for n, end in zip(lengths, ends, strict=True)]


def stream(tokens, batch_size, bptt):
    return StreamWindows(tokens, batch_size=batch_size, bptt=bptt, start_id=START)


def by_frame(tokens, batch_size, bptt):
    return FrameWindows(tokens, batch_size=batch_size, bptt=bptt, start_id=START)


def picture(windows, values):
    """The rows of a docstring's picture: `values(window)` as text, windows parted by bars."""
    shown = [values(window) for window in windows]
    return [" | ".join(" ".join(row) for row in rows) for rows in zip(*shown, strict=True)]


def test_the_stream_is_cut_as_in_the_picture():
    tokens = np.arange(11, dtype=np.uint8)
    windows = list(StreamWindows(tokens, batch_size=2, bptt=3, start_id=11))

    inputs = picture(windows, lambda window: window.inputs.astype(str))
    targets = picture(windows, lambda window: window.targets.astype(str))

    assert inputs == ["0 1 2 | 3 4", "5 6 7 | 8 9"]
    assert targets == ["1 2 3 | 4 5", "6 7 8 | 9 10"]
    assert [window.fresh.tolist() for window in windows] == [[True, True], [False, False]]


def test_frames_are_cut_as_in_the_picture():
    letters = "Sbc" + "Se" + "Sghi" + "Sk"  # a, d, f and j are <start>
    tokens = np.array([ord(letter) for letter in letters], dtype=np.uint8)
    windows = list(FrameWindows(tokens, batch_size=2, bptt=2, start_id=ord("S")))

    def dotted(values, window):
        padded = np.where(window.targets == NOT_PREDICTED, ord("."), values)
        return ["".join(map(chr, row)).ljust(2, ".") for row in padded]

    inputs = picture(windows, lambda window: dotted(window.inputs, window))
    targets = picture(windows, lambda window: dotted(window.targets, window))

    assert inputs == ["S b | S . | . .", "S g | h . | S ."]
    assert targets == ["b c | e . | . .", "g h | i . | k ."]


@given(lengths=frame_lists, bptt=bptts)
@settings(max_examples=60)
def test_one_stream_predicts_every_token_but_start_once_and_in_order(lengths, bptt):
    windows = list(stream(tokens_of(lengths), 1, bptt))

    targets = [t for window in windows for t in window.targets[0] if t != NOT_PREDICTED]

    assert targets == list(range(1, sum(lengths) + 1))


def test_the_first_token_is_no_target_even_where_it_is_not_start():
    windows = stream(np.array([5, 6, 7], dtype=np.uint8), 1, 2)

    assert [window.targets.tolist() for window in windows] == [[[6, 7]]]


@given(lengths=frame_lists, batch_size=batch_sizes, bptt=bptts)
@settings(max_examples=100)
def test_streams_are_equal_and_leave_out_only_what_does_not_fill_them(lengths, batch_size, bptt):
    tokens = tokens_of(lengths)
    length = max(len(tokens) - 1, 0) // batch_size

    windows = list(stream(tokens, batch_size, bptt))

    rows = [
        np.concatenate([w.inputs[b] for w in windows]) for b in range(batch_size * bool(windows))
    ]
    targets = [np.concatenate([w.targets[b] for w in windows]) for b in range(len(rows))]
    assert len(windows) == -(-length // bptt)
    for b, (row, ahead) in enumerate(zip(rows, targets, strict=True)):
        after = tokens[b * length + 1 : (b + 1) * length + 1].astype(int)
        assert row.tolist() == tokens[b * length : (b + 1) * length].tolist()
        assert ahead.tolist() == np.where(after == START, NOT_PREDICTED, after).tolist()


@given(lengths=frame_lists, batch_size=batch_sizes, bptt=bptts)
@settings(max_examples=60)
def test_only_the_first_window_of_a_stream_is_fresh(lengths, batch_size, bptt):
    windows = list(stream(tokens_of(lengths), batch_size, bptt))

    fresh = [window.fresh.tolist() for window in windows]

    assert fresh == [[index == 0] * batch_size for index in range(len(windows))]


@given(lengths=frame_lists, batch_size=batch_sizes, bptt=bptts)
@settings(max_examples=150)
def test_rows_of_frame_windows_are_whole_frames_fresh_where_they_begin(lengths, batch_size, bptt):
    windows = list(by_frame(tokens_of(lengths), batch_size, bptt))

    frames = []
    for b in range(batch_size):
        last = None
        for window in windows:
            predicted = window.targets[b] != NOT_PREDICTED
            inputs, targets = window.inputs[b][predicted], window.targets[b][predicted]
            if not predicted.any():
                continue
            if window.fresh[b]:
                frames.append([])
                last = START
            assert inputs.tolist() == [last, *targets[:-1]]
            assert predicted.tolist() == sorted(predicted, reverse=True)  # padding comes last
            frames[-1] += targets.tolist()
            last = targets[-1]

    assert frames == frames_of(lengths)


@given(lengths=frame_lists, batch_size=batch_sizes, bptt=bptts)
@settings(max_examples=60)
def test_each_stream_of_frames_ends_as_near_its_share_as_whole_frames_allow(
    lengths, batch_size, bptt
):
    tokens = tokens_of(lengths)
    ends = [0, *accumulate(length + 1 for length in lengths)]

    windows = list(by_frame(tokens, batch_size, bptt))

    used = 0
    for b in range(batch_size - 1):
        targets = [window.targets[b] for window in windows]
        used += sum(int((row != NOT_PREDICTED).sum()) for row in targets)
        used += sum(int(w.fresh[b] and (w.targets[b] != NOT_PREDICTED).any()) for w in windows)
        share = len(tokens) * (b + 1) / batch_size
        assert abs(used - share) == pytest.approx(min(abs(end - share) for end in ends))


@given(
    lengths=frame_lists,
    batch_size=batch_sizes,
    bptt=bptts,
    block=st.integers(1, 4),
    chunk=st.integers(1, 7),
)
@settings(max_examples=150)
def test_frame_windows_are_the_same_however_they_are_looked_for(
    lengths, batch_size, bptt, block, chunk
):
    tokens = tokens_of(lengths)
    whole = list(by_frame(tokens, batch_size, bptt))

    with mock.patch.multiple(frame_windows, BLOCK=block, CHUNK=chunk):
        windows = by_frame(tokens, batch_size, bptt)
        backwards = [windows[index] for index in reversed(range(len(windows)))][::-1]

    assert len(backwards) == len(whole)
    for one, other in zip(backwards, whole, strict=True):
        assert (one.inputs.tolist(), one.targets.tolist(), one.fresh.tolist()) == (
            other.inputs.tolist(),
            other.targets.tolist(),
            other.fresh.tolist(),
        )


@given(
    lengths=frame_lists,
    batch_size=batch_sizes,
    bptt=bptts,
    block=st.integers(1, 4),
    near=st.integers(1, 7),
)
@settings(max_examples=150)
def test_length_of_a_frame_is_that_of_all_its_windows_in_whatever_blocks(
    lengths, batch_size, bptt, block, near
):
    """Each frame begins with the id 1000 + its number of symbols, in the order of the frames."""
    tokens = tokens_of(lengths)
    with mock.patch.multiple(frame_windows, BLOCK=block, NEAR=near):
        windows = frame_windows.FrameWindows(
            tokens, batch_size=batch_size, bptt=bptt, start_id=START, lengths_from=1000
        )
        read = [windows[index] for index in range(len(windows))]

    told = []
    for b in range(batch_size):
        for window in read:
            if window.fresh[b] and (window.targets[b] != NOT_PREDICTED).any():
                told.append(int(window.inputs[b, 0]) - 1000)
    assert told == [len(frame) - 1 for frame in frames_of(lengths)]


@pytest.mark.parametrize("kind", [stream, by_frame])
@given(lengths=frame_lists, batch_size=batch_sizes, bptt=bptts)
@settings(max_examples=60)
def test_windows_have_the_shapes_and_types_they_promise(kind, lengths, batch_size, bptt):
    windows = kind(tokens_of(lengths), batch_size, bptt)

    for window in (windows[index] for index in range(len(windows))):
        assert window.inputs.shape == window.targets.shape
        assert window.inputs.shape[0] == batch_size
        assert 1 <= window.inputs.shape[1] <= bptt
        assert window.fresh.shape == (batch_size,)
        assert (window.inputs.dtype, window.targets.dtype) == (np.int64, np.int64)
        assert window.fresh.dtype == np.bool_


@pytest.mark.parametrize("kind", [stream, by_frame])
def test_no_tokens_make_no_windows(kind):
    assert len(kind(np.zeros(0, dtype=np.uint8), 3, 2)) == 0


@pytest.mark.parametrize("kind", [stream, by_frame])
def test_there_is_no_window_before_the_first_or_after_the_last(kind):
    windows = kind(tokens_of([3, 2]), 2, 2)

    for index in (-1, len(windows)):
        with pytest.raises(IndexError):
            windows[index]


def test_an_empty_frame_predicts_its_stop():
    tokens = np.array([START, 9, START, 9, START, 1, 9], dtype=np.uint8)  # 9 is <stop>

    windows = list(by_frame(tokens, 1, 5))

    assert [window.targets.tolist() for window in windows] == [[[9]], [[9]], [[1, 9]]]


def test_start_that_is_not_id_0_is_no_target():
    tokens = np.array([7, 1, 8, 7, 2, 8], dtype=np.uint8)

    window = StreamWindows(tokens, batch_size=1, bptt=9, start_id=7)[0]

    assert window.targets.tolist() == [[1, 8, NOT_PREDICTED, 2, 8]]


@pytest.mark.parametrize(("independent", "kind"), [(False, StreamWindows), (True, FrameWindows)])
def test_independent_frames_are_asked_for_by_name(independent, kind):
    windows = make_windows(
        tokens_of([3, 2]), batch_size=1, bptt=2, start_id=START, independent_frames=independent
    )

    assert isinstance(windows, kind)
    assert sum(int((window.targets != NOT_PREDICTED).sum()) for window in windows) == 5
