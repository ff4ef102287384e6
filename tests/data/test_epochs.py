"""Windows of a whole run: in each epoch every token is a target once, after its own token."""

from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.data import make_epochs, make_windows
from charlm.data.epochs import draw_cuts
from charlm.data.window import NOT_PREDICTED
from charlm.errors import ConfigError

START = 0
VARIED = [
    {"variable_bptt": True},
    {"partial_shuffle": True},
    {"variable_bptt": True, "partial_shuffle": True},
]


def text(num_tokens=1501):
    return np.arange(1, num_tokens + 1, dtype=np.uint16)  # all different, none <start>


def epochs_of(tokens=None, batch_size=3, bptt=20, independent_frames=False, **given):
    return make_epochs(
        text() if tokens is None else tokens,
        batch_size=batch_size,
        bptt=bptt,
        start_id=START,
        independent_frames=independent_frames,
        **given,
    )


def split(epochs, num_epochs):
    """The windows of each of the first epochs, which begin where state is dropped."""
    found = []
    for number in count():
        window = epochs.window(number)
        if window.fresh.any():
            if len(found) == num_epochs:
                return found
            found.append([])
        found[-1].append(window)


def rows(windows, values):
    return np.concatenate([getattr(window, values) for window in windows], axis=1)


def same(window, other):
    return all(
        np.array_equal(getattr(window, part), getattr(other, part))
        for part in ("inputs", "targets", "fresh")
    )


@pytest.mark.parametrize("independent_frames", [False, True])
def test_without_settings_each_epoch_is_the_same(independent_frames):
    tokens = np.array([START, *range(1, 30), START, *range(30, 50)], dtype=np.uint8)
    arguments = {"batch_size": 2, "bptt": 4, "independent_frames": independent_frames}
    windows = make_windows(tokens, start_id=START, **arguments)

    epochs = epochs_of(tokens, **arguments)

    assert len(epochs) == len(windows)
    for number in range(3 * len(windows)):
        assert same(epochs.window(number), windows[number % len(windows)])


@pytest.mark.parametrize("varied", VARIED)
@given(
    num_tokens=st.integers(8, 300),
    batch_size=st.integers(1, 7),
    bptt=st.integers(1, 40),
    seed=st.integers(0, 2**63 - 1),
)
@settings(max_examples=40)
def test_every_token_is_a_target_once_an_epoch_after_its_own_token(
    varied, num_tokens, batch_size, bptt, seed
):
    tokens, length = text(num_tokens), (num_tokens - 1) // batch_size
    epochs = epochs_of(tokens, batch_size, bptt, seed=seed, **varied)

    for windows in split(epochs, 2):
        inputs, targets = rows(windows, "inputs"), rows(windows, "targets")
        assert np.array_equal(targets, inputs + 1)  # as the text has it, ends joined or not
        for b in range(batch_size):
            own = list(range(b * length + 1, (b + 1) * length + 1))
            assert sorted(inputs[b].tolist()) == own
            jumps = (np.diff(inputs[b]) != 1).sum()
            assert jumps <= (1 if "partial_shuffle" in varied else 0)
        assert [window.fresh.all() for window in windows] == [i == 0 for i in range(len(windows))]


def test_start_is_never_predicted_wherever_a_stream_begins():
    tokens = np.array([START, 5, 6, 9] * 20 + [START], dtype=np.uint8)
    epochs = epochs_of(tokens, 2, 7, partial_shuffle=True, variable_bptt=True)

    for windows in split(epochs, 3):
        inputs, targets = rows(windows, "inputs"), rows(windows, "targets")
        after = {START: 5, 5: 6, 6: 9, 9: NOT_PREDICTED}
        assert np.array_equal(targets, np.vectorize(after.get)(inputs))


@pytest.mark.parametrize("varied", VARIED)
def test_epochs_differ_from_one_another_and_from_other_seeds(varied):
    def of(seed):
        return [
            ([w.inputs.shape[1] for w in windows], rows(windows, "inputs")[:, 0].tolist())
            for windows in split(epochs_of(seed=seed, **varied), 3)
        ]

    found = of(1) + of(2)

    assert len({str(epoch) for epoch in found}) == 6


@pytest.mark.parametrize("varied", VARIED)
def test_a_window_is_the_same_whatever_was_asked_for_before(varied):
    straight = epochs_of(**varied)
    expected = [straight.window(number) for number in range(80)]  # more than two epochs
    order = np.random.default_rng(0).permutation(80)

    shuffled = epochs_of(**varied)

    for number in order:
        assert same(shuffled.window(int(number)), expected[number])
    assert same(epochs_of(**varied).window(71), expected[71])


def test_streams_of_a_batch_begin_at_different_places():
    begins = epochs_of(batch_size=10, partial_shuffle=True).window(0).inputs[:, 0]

    assert len(set((begins - 1) % 150)) > 5


@pytest.mark.parametrize("bptt", [70, 140])
def test_lengths_are_about_bptt_or_now_and_then_half_of_it(bptt):
    lengths = np.diff(draw_cuts(np.random.default_rng(0), 1_000_000, bptt))[:-1]

    halved = lengths < 0.75 * bptt
    assert halved.mean() == pytest.approx(0.05, abs=0.01)
    assert lengths[~halved].mean() == pytest.approx(bptt, abs=0.5)
    assert lengths[halved].mean() == pytest.approx(bptt / 2, abs=0.5)
    assert lengths[halved].std() == pytest.approx(5, abs=0.5)
    assert lengths.max() == bptt + 10


@pytest.mark.parametrize(("bptt", "shortest"), [(1, 1), (4, 4), (6, 5), (20, 5)])
def test_no_window_but_the_last_is_shorter_than_is_worth_it(bptt, shortest):
    cuts = draw_cuts(np.random.default_rng(0), 20_000, bptt)

    lengths = np.diff(cuts)
    assert (cuts[0], cuts[-1]) == (0, 20_000)
    assert lengths[:-1].min() == shortest
    assert lengths[-1] >= 1
    assert lengths.max() <= bptt + 10


@pytest.mark.parametrize("varied", VARIED)
def test_the_length_of_an_epoch_is_about_what_it_says(varied):
    epochs = epochs_of(text(60_000), batch_size=3, bptt=40, **varied)

    found = split(epochs, 3)

    assert len(epochs) == pytest.approx(sum(map(len, found)) / 3, rel=0.02)


@pytest.mark.parametrize("name", ["variable_bptt", "partial_shuffle"])
def test_frames_by_themselves_can_not_be_cut_anew(name):
    option = name.replace("_", "-")
    with pytest.raises(ConfigError, match=f"^--{option} has no effect with --independent-frames"):
        epochs_of(independent_frames=True, **{name: True})


@pytest.mark.parametrize("varied", VARIED)
def test_only_what_a_window_needs_is_read(varied, tmp_path):
    path = tmp_path / "tokens"
    mapped = np.memmap(path, dtype=np.uint16, mode="w+", shape=(1501,))
    mapped[:] = text()
    seen = []

    class Watched(np.memmap):
        def __getitem__(self, index):
            found = super().__getitem__(index)
            if not np.shares_memory(found, mapped):
                seen.append(found.size)
            return found

    epochs = epochs_of(mapped.view(Watched), **varied)
    for number in range(30):
        window = epochs.window(number)

    assert same(window, epochs_of(**varied).window(29))
    assert max(seen, default=0) <= 3 * 30
