"""An n-gram model as a predictor says what the model says of the whole text."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.evaluation import NgramPredictor
from charlm.ngram import build_kneser_ney

START, VOCAB_SIZE = 24, 27


@pytest.fixture(scope="module", params=[1, 2, 3, 5])
def model(request, random_text):
    learnt = random_text(1, (40, 40, 0, 9, 2, 2)) % 9  # few symbols, so that n-grams come again
    learnt[random_text(1, (40, 40, 0, 9, 2, 2)) == START] = START
    return build_kneser_ney(learnt, order=request.param, vocab_size=VOCAB_SIZE, start_id=START)


@pytest.fixture(scope="module")
def text(random_text):
    marks = random_text(5)
    return np.where(marks < START, marks % 9, marks).astype(np.int64)


@given(cuts=st.sets(st.integers(1, 60)))
@settings(max_examples=8)
def test_a_text_in_windows_is_what_the_model_says_of_the_whole(model, text, said, cuts):
    cuts = sorted(cut for cut in cuts if cut < len(text) - 1)

    log_probs, distributions = said(NgramPredictor(model), text[None], cuts)

    predicted = text[1:] != START
    assert log_probs[0, predicted].tolist() == model.log_probs(text)[1:][predicted].tolist()
    assert distributions[0].tolist() == model.distributions(text[:-1]).tolist()


@pytest.mark.parametrize("context", ["stream", "frame"])
@given(
    lengths=st.lists(st.integers(0, 12), min_size=1, max_size=8),
    window=st.sampled_from([1, 2, 5, 512]),
    most=st.sampled_from([1, 3, 1024]),
)
@settings(max_examples=8)
def test_frames_read_together_have_what_the_model_says_of_the_text(
    model, random_text, read, context, lengths, window, most
):
    tokens = random_text(len(lengths), lengths)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charlm.evaluation.reading.WINDOW", window)
        patch.setattr("charlm.evaluation.reading.MAX_ROWS", most)
        found = read(NgramPredictor(model), tokens, context, details=True)

    # Nothing before <start> matters to a token, so that both contexts are the same.
    assert found.nats.tolist() == (-model.log_probs(tokens)[tokens != START]).tolist()
    log_probs = model.distributions(tokens[:-1])[tokens[1:] != START]
    own = log_probs[np.arange(len(log_probs)), found.targets]
    probs = np.exp(log_probs)
    entropy = -(probs * np.log(np.where(probs > 0, probs, 1.0))).sum(1)
    assert found.rank.tolist() == (1 + (log_probs > own[:, None]).sum(1)).tolist()
    np.testing.assert_allclose(found.entropy, entropy, rtol=1e-12)


def test_start_is_never_expected(model, text, said):
    _, distributions = said(NgramPredictor(model), text[None])

    assert (distributions[0, :, START] == -np.inf).all()
    np.testing.assert_allclose(np.exp(distributions).sum(-1), 1)


def test_no_more_than_what_matters_is_remembered(model, text):
    predictor = NgramPredictor(model)
    rows = torch.as_tensor(np.stack([text, text[::-1].copy()]))

    _, state = predictor.predict(rows, rows, predictor.initial_state(2))

    assert state.tolist() == rows[:, len(text) - model.order + 1 :].tolist()
