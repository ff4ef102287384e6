"""A text turned round is a text like any other, and turned again it is the text it was."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.data import turn, turned_places, turning, write_turned
from charlm.data.token_file import TextCounts, open_token_file, write_tokens
from charlm.text import TextConfig, build_tokenizer

TOKENIZER = build_tokenizer(TextConfig(), ["abcdef"])
START, STOP = TOKENIZER.start_id, TOKENIZER.stop_id
frames = st.lists(st.lists(st.sampled_from([0, 1, 2, STOP]), max_size=5), max_size=6)


def tokens_of(frames):
    return np.array([t for frame in frames for t in (START, *frame, STOP)], dtype=np.uint8)


def turned(tokens):
    return turn(tokens, tokens[:0], TOKENIZER)


@given(frames)
@settings(max_examples=100)
def test_frames_come_from_the_last_to_the_first_and_each_from_its_end(frames):
    expected = tokens_of([frame[::-1] for frame in frames[::-1]])

    assert turned(tokens_of(frames)).tolist() == expected.tolist()
    assert turned(turned(tokens_of(frames))).tolist() == tokens_of(frames).tolist()


def test_it_is_as_in_the_picture():
    assert turned(tokens_of([[0, 1], [2]])).tolist() == [START, 2, STOP, START, 1, 0, STOP]


@given(frames)
@settings(max_examples=100)
def test_what_is_predicted_has_the_same_places_in_either_direction(frames):
    tokens = tokens_of(frames)
    places = turned_places(tokens, TOKENIZER)

    back = turned(tokens)
    predicted = back[back != START]
    forward = np.flatnonzero(tokens != START)
    assert sorted(places.tolist()) == forward.tolist()
    assert predicted.tolist() == tokens[places].tolist()


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
def test_a_file_is_turned_in_chunks_of_any_size(chunk, tmp_path):
    tokens = tokens_of([[0, 1, 2], [], [STOP, 1], [2, STOP]])
    counts = TextCounts(num_words=4, num_chars=9, num_bytes=9, sha256="f00")
    text = write_tokens(tmp_path / "text.tokens", [tokens], TOKENIZER.vocab_size, lambda: counts)

    with mock.patch.object(turning, "CHUNK", chunk):
        written = write_turned(tmp_path / "turned.tokens", text, TOKENIZER)

    opened = open_token_file(tmp_path / "turned.tokens", TOKENIZER.vocab_size)
    assert written.tokens.tolist() == turned(tokens).tolist()
    assert written.counts == opened.counts == counts


def test_nothing_turned_is_nothing(tmp_path):
    nothing = np.zeros(0, dtype=np.uint8)
    text = write_tokens(tmp_path / "text.tokens", [], TOKENIZER.vocab_size, TextCounts)

    assert len(write_turned(tmp_path / "turned.tokens", text, TOKENIZER)) == 0
    assert turned_places(nothing, TOKENIZER).tolist() == []
