"""Reading is exact: what a loop over single tokens gives, however tokens are read together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.cells import CELLS
from charlm.evaluation import CacheConfig, CachedPredictor, NetworkPredictor, TokenScores, read_text
from charlm.evaluation.reading import blocks

START, STOP, OTHER, VOCAB_SIZE = 24, 25, 26, 27
CONTEXTS = ["stream", "frame"]
lengths = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 30)), min_size=1, max_size=6)


class Spy:
    """Reads as its network does, and keeps the shapes of what it was given."""

    def __init__(self, network, stride=1, max_rows=None):
        self.network, self.stride, self.max_rows = network, stride, max_rows
        self.shapes, self.num_states = [], 0
        self.select_rows = network.select_rows

    def initial_state(self, batch_size):
        self.num_states += 1
        return self.network.initial_state(batch_size)

    def predict(self, inputs, targets, state):
        self.shapes.append(tuple(inputs.shape))
        return self.network.predict(inputs, targets, state)


def set_sizes(patch, **sizes):
    for name, value in sizes.items():
        patch.setattr(f"charlm.evaluation.reading.{name}", value)


@pytest.fixture(scope="module")
def model(small_model):
    return small_model(num_layers=1)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("cell", CELLS)
def test_reading_equals_a_loop_over_single_tokens(
    cell, context, small_model, random_text, looped, predicted, read
):
    model, tokens = small_model(cell), random_text()

    found = read(NetworkPredictor(model), tokens, context)

    targets, nats = predicted(looped(model, tokens, context)[1], tokens)
    assert found.targets.tolist() == targets.tolist() == tokens[tokens != START].tolist()
    assert found.nats.dtype == np.float64
    np.testing.assert_allclose(found.nats, nats, rtol=1e-4, atol=1e-5)
    assert (found.entropy, found.rank, found.ending) == (None, None, None)


@pytest.mark.parametrize("context", CONTEXTS)
@given(
    lengths=lengths,
    sizes=st.fixed_dictionaries(
        {
            "WINDOW": st.sampled_from([1, 3, 7, 64, 512]),
            "LOGITS": st.sampled_from([1, 5 * VOCAB_SIZE, 60 * VOCAB_SIZE, 1 << 24]),
            "BLOCK": st.sampled_from([1, 20, 1 << 18]),
            "MAX_ROWS": st.sampled_from([1, 2, 5, 1024]),
        }
    ),
    max_rows=st.sampled_from([None, 1, 3]),
    stride=st.sampled_from([1, 4]),
    unfinished=st.booleans(),
)
@settings(max_examples=25)
def test_what_is_read_together_makes_no_difference(
    context, model, random_text, looped, predicted, read, lengths, sizes, max_rows, stride,
    unfinished,
):  # fmt: skip
    tokens = random_text(len(lengths), lengths)
    tokens = tokens[: len(tokens) - unfinished]
    spy = Spy(NetworkPredictor(model), stride, max_rows)

    with pytest.MonkeyPatch.context() as patch:
        set_sizes(patch, **sizes)
        found = read(spy, tokens, context)

    targets, nats = predicted(looped(model, tokens, context)[1], tokens)
    assert found.targets.tolist() == targets.tolist()
    np.testing.assert_allclose(found.nats, nats, rtol=1e-4, atol=1e-5)
    for rows, time in spy.shapes:
        assert rows <= min(sizes["MAX_ROWS"], max_rows or rows)
        assert time <= max(sizes["WINDOW"], stride)
        assert rows == 1 or rows * time * VOCAB_SIZE <= max(sizes["LOGITS"], stride * VOCAB_SIZE)


@pytest.mark.parametrize("context", CONTEXTS)
def test_details_are_those_of_the_whole_distribution(
    context, small_model, random_text, looped, read, monkeypatch
):
    model, tokens, endings = small_model(), random_text(), (STOP, 3, 5)
    set_sizes(monkeypatch, WINDOW=7)

    found = read(NetworkPredictor(model), tokens, context, details=True, ending_ids=endings)

    log_probs = looped(model, tokens, context)[1][:-1][tokens[1:] != START]
    own = log_probs[np.arange(len(log_probs)), found.targets]
    likelier = [(row > value).sum() for row, value in zip(log_probs, own, strict=True)]
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(found.nats, -own, **close)
    np.testing.assert_allclose(found.entropy, -(np.exp(log_probs) * log_probs).sum(1), **close)
    assert found.rank.tolist() == (1 + np.array(likelier)).tolist()
    assert found.rank.min() == 1 and found.rank.max() > VOCAB_SIZE / 2
    ending = np.exp(log_probs[:, endings]).sum(1)
    np.testing.assert_allclose(found.ending, -np.log(ending), **close)


def test_without_tokens_that_end_a_word_there_is_no_ending(small_model, random_text, read):
    found = read(NetworkPredictor(small_model()), random_text(), details=True)

    assert found.ending is None
    assert len(found.entropy) == len(found.rank) == len(found) == len(found.targets)


def test_tokens_of_equal_probability_share_a_rank(small_model, random_text, read):
    model = small_model(tie_embeddings=False)
    for parameter in model.head.parameters():
        parameter.data.zero_()

    found = read(NetworkPredictor(model), random_text(), details=True)

    assert set(found.rank) == {1}
    np.testing.assert_allclose(found.entropy, np.log(VOCAB_SIZE), rtol=1e-6)
    np.testing.assert_allclose(found.nats, np.log(VOCAB_SIZE), rtol=1e-6)


def test_a_frame_by_itself_has_the_scores_it_has_among_others(model, random_text, read):
    tokens = random_text()
    predictor = CachedPredictor(NetworkPredictor(model), CacheConfig(size=5))
    frames = np.split(tokens, np.flatnonzero(tokens == START)[1:])

    together = read(predictor, tokens, "frame")
    singly = [read(predictor, frame, "stream").nats for frame in frames]

    np.testing.assert_allclose(together.nats, np.concatenate(singly), rtol=1e-4, atol=1e-5)
    assert not np.allclose(together.nats, read(predictor, tokens, "stream").nats, rtol=1e-3)


def test_frames_are_read_together_and_end_one_by_one(model, random_text, read, monkeypatch):
    spy, tokens = Spy(NetworkPredictor(model)), random_text(0, (3, 20, 0, 11))
    set_sizes(monkeypatch, WINDOW=6)

    read(spy, tokens, "frame")

    assert spy.num_states == 1
    assert spy.shapes == [(4, 6), (2, 6), (1, 6), (1, 3)]  # 21, 12, 4 and 1 tokens to predict


def test_as_many_frames_are_read_together_as_memory_holds_whole(
    model, random_text, read, monkeypatch
):
    spy, tokens = Spy(NetworkPredictor(model)), random_text(0, (8,) * 5)
    set_sizes(monkeypatch, LOGITS=20 * VOCAB_SIZE)

    read(spy, tokens, "frame")

    assert spy.shapes == [(2, 9), (2, 9), (1, 9)]


def test_a_predictor_that_takes_few_rows_gets_no_more(model, random_text, read):
    spy, tokens = Spy(NetworkPredictor(model), max_rows=1), random_text(0, (3, 20, 0, 9))

    read(spy, tokens, "frame")

    assert spy.num_states == 4
    assert spy.shapes == [(1, 21), (1, 10), (1, 4), (1, 1)]


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize(("stride", "window"), [(1, 10), (4, 8), (10, 10), (25, 25)])
def test_windows_are_multiples_of_the_stride(
    stride, window, context, model, random_text, read, monkeypatch
):
    spy, tokens = Spy(NetworkPredictor(model), stride), random_text(0, (70,))
    set_sizes(monkeypatch, WINDOW=10)

    read(spy, tokens, context)

    assert {time for _, time in spy.shapes[:-1]} == {window}
    assert sum(time for _, time in spy.shapes) == 71


@pytest.mark.parametrize("context", CONTEXTS)
def test_scores_come_while_the_text_is_being_read(
    context, model, random_text, reading, monkeypatch
):
    spy, tokens = Spy(NetworkPredictor(model)), random_text(0, (9,) * 20)
    set_sizes(monkeypatch, WINDOW=5, BLOCK=30)

    first = next(read_text(spy, tokens, reading(context)))

    assert first.targets.tolist() == tokens[1:6].tolist()
    assert len(spy.shapes) <= 2


@pytest.mark.parametrize("max_rows", [None, 1])
def test_a_long_frame_is_given_window_by_window(model, random_text, reading, monkeypatch, max_rows):
    spy, tokens = Spy(NetworkPredictor(model), max_rows=max_rows), random_text(0, (3, 40, 2))
    set_sizes(monkeypatch, WINDOW=5, BLOCK=4)  # each frame is a block

    scores = read_text(spy, tokens, reading("frame"))

    read = [(len(next(scores)), len(spy.shapes)) for _ in range(4)]
    assert read == [(4, 1), (5, 2), (5, 3), (5, 4)]
    assert 14 + 5 + sum(map(len, scores)) == (tokens != START).sum()


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("tokens", [[], [START], [START, START]])
def test_nothing_is_said_of_a_text_without_a_token_to_predict(tokens, context, model, reading):
    tokens = np.array(tokens, dtype=np.uint8)

    found = list(read_text(NetworkPredictor(model), tokens, reading(context)))

    assert sum(map(len, found)) == 0


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.int64])
def test_tokens_may_be_of_any_type_and_mapped_from_a_file(
    dtype, context, model, random_text, read, tmp_path
):
    random_text().astype(dtype).tofile(tmp_path / "tokens")
    mapped = np.memmap(tmp_path / "tokens", dtype, mode="r")

    found = read(NetworkPredictor(model), mapped, context)

    assert (
        found.nats.tolist() == read(NetworkPredictor(model), random_text(), context).nats.tolist()
    )


@given(lengths=st.lists(st.integers(1, 9), max_size=12), size=st.integers(1, 30))
@settings(max_examples=40)
def test_blocks_are_as_small_as_they_may_be_and_hold_every_frame_once(lengths, size):
    with pytest.MonkeyPatch.context() as patch:
        set_sizes(patch, BLOCK=size)
        found = [lengths[block] for block in blocks(np.array(lengths, dtype=np.int64))]

    assert [length for block in found for length in block] == lengths
    assert all(sum(block[:-1]) < size for block in found)
    assert all(sum(block) >= size for block in found[:-1])


def test_the_length_of_scores_is_the_number_of_tokens():
    assert len(TokenScores(targets=np.arange(3), nats=np.ones(3))) == 3
