"""Many sentences at once: each is scored as if alone, however their beginnings are shared."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.evaluation import (
    CacheConfig,
    CachedPredictor,
    Mixture,
    NetworkPredictor,
    NgramPredictor,
    sentence_nats,
)
from charlm.evaluation import sentences as room
from charlm.ngram import build_kneser_ney

VOCAB_SIZE, START, STOP = 27, 24, 25

tokens = st.lists(st.integers(0, 4), max_size=6)


def sentence(ids):
    return np.array([START, *ids, STOP])


@pytest.fixture(scope="module")
def predictors(small_model):
    network = NetworkPredictor(small_model())
    text = np.concatenate([sentence([0, 1, 2]), sentence([0, 1, 3, 4]), sentence([2])])
    ngrams = NgramPredictor(build_kneser_ney(text, order=3, vocab_size=VOCAB_SIZE, start_id=START))
    cached = CachedPredictor(network, CacheConfig(size=3, flatness=1.0, weight=0.4))
    mixed = Mixture([network, ngrams], [0.6, 0.4])
    return {"network": network, "n-grams": ngrams, "cached": cached, "mixed": mixed}


@pytest.fixture(params=[0.0, 2.0], ids=["apart", "shared"])
def worth_sharing(request, monkeypatch):
    monkeypatch.setattr(room, "WORTH_SHARING", request.param)


@pytest.mark.usefixtures("worth_sharing")
@pytest.mark.parametrize("name", ["network", "n-grams", "cached", "mixed"])
def test_sentences_together_say_what_each_says_alone(name, predictors, reading):
    terms = reading("frame")

    @settings(max_examples=25)
    @given(st.lists(tokens, min_size=1, max_size=12), st.integers(1, 5))
    def check(texts, rows):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(room, "MAX_ROWS", rows)
            together = sentence_nats(predictors[name], [sentence(t) for t in texts], terms)
        for text, nats in zip(texts, together, strict=True):
            (alone,) = sentence_nats(predictors[name], [sentence(text)], terms)
            assert len(nats) == len(text) + 1
            np.testing.assert_allclose(nats, alone, rtol=1e-4, atol=1e-5)

    check()


def test_a_beginning_that_is_shared_is_read_once(predictors, reading, monkeypatch):
    network = predictors["network"]
    read = []
    predict = network.predict
    monkeypatch.setattr(
        network, "predict", lambda inputs, *rest: read.append(len(inputs)) or predict(inputs, *rest)
    )
    texts = [[0, 1, 2, 3], [0, 1, 2, 4], [0, 1, 2], [0, 3]]

    sentence_nats(network, [sentence(text) for text in texts], reading("frame"))

    # The distinct beginnings that the vocabulary has to follow: 0, then 01 03, then 012 03s, ...
    assert read == [1, 2, 2, 3, 2]


def test_shared_beginnings_are_counted():
    ranked = [sentence([0, 1]), sentence([0, 1, 2]), sentence([0, 3]), sentence([4])]

    assert room.shared_beginnings(ranked) == [0, 3, 2, 1]
    assert room.shared_beginnings([]) == []


def test_no_sentences_have_no_nats(predictors, reading):
    network = predictors["network"]

    assert sentence_nats(network, [], reading("frame")) == []
