"""Left and right context together: as stepping through each side by itself would have it."""

import numpy as np
import pytest
import torch

from charlm.data import turn
from charlm.evaluation import BothWays, NetworkPredictor, Reading, join_scores, read_both_ways
from charlm.model import LanguageModel, ModelConfig

SYMBOLS, VOCAB = 5, 8
START, STOP, OTHER = 5, 6, 7


class Marks:
    start_id, stop_id = START, STOP


def make_model(seed):
    torch.manual_seed(seed)
    model = LanguageModel(ModelConfig(vocab_size=VOCAB, hidden_size=8, embedding_size=8)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4)
    return model


@pytest.fixture(scope="module")
def models():
    frequencies = torch.tensor([0.3, 0.2, 0.2, 0.1, 0.1, 0.0, 0.0, 0.1])
    return BothWays(
        NetworkPredictor(make_model(1)), NetworkPredictor(make_model(2)), frequencies.log(), STOP
    )


def after(model, tokens):
    """log P of what follows some tokens, read one by one."""
    with torch.no_grad():
        state = model.initial_state(1)
        for token in tokens:
            logits, state = model.step(torch.tensor([int(token)]), state)
    return logits[0].double().log_softmax(-1).numpy()


def by_hand(models, tokens, turned, context):
    """Nats and ranks of each token but `<start>`."""
    prior = models.log_frequencies.double().numpy()
    nats, ranks = [], []
    for place, token in enumerate(tokens):
        if token == START:
            continue
        first = 0
        last = len(tokens)
        if context == "frame":
            first = max(at for at in range(place) if tokens[at] == START)
            last = next((at for at in range(place, len(tokens)) if tokens[at] == START), last)
        scores = after(models.forward.model, tokens[first:place])
        if token != STOP:
            right = turned[len(tokens) - last : len(tokens) - 1 - place]
            scores = scores + after(models.backward.model, right) - prior
            scores[[START, STOP]] = -np.inf
            scores = scores - np.logaddexp.reduce(scores)
        nats.append(-scores[token])
        ranks.append(1 + int((scores > scores[token]).sum()))
    return nats, ranks


TEXT = [START, 0, 1, 2, STOP, START, 3, STOP, START, 4, OTHER, 0, 0, 1, 3, 2, STOP]
EMPTY_FRAME = [START, STOP]


@pytest.mark.parametrize("context", ["stream", "frame"])
@pytest.mark.parametrize("window", [1, 3, 100])
@pytest.mark.parametrize("text", [TEXT, TEXT[5:8], EMPTY_FRAME, EMPTY_FRAME * 2], ids=len)
def test_each_token_is_predicted_from_both_sides(models, context, window, text, monkeypatch):
    monkeypatch.setattr("charlm.evaluation.reading.WINDOW", window)
    tokens = np.array(text, dtype=np.uint16)
    turned = turn(tokens, tokens[:0], Marks)
    reading = Reading(
        start_id=START, vocab_size=VOCAB, context=context, device=torch.device("cpu"), details=True
    )

    found = join_scores(read_both_ways(models, tokens, turned, reading))

    nats, ranks = by_hand(models, tokens.tolist(), turned.tolist(), context)
    assert found.targets.tolist() == [token for token in text if token != START]
    np.testing.assert_allclose(found.nats, nats, rtol=1e-4, atol=1e-5)
    assert found.rank.tolist() == ranks


@pytest.mark.parametrize("context", ["stream", "frame"])
def test_a_text_without_frames_has_no_scores(models, context):
    tokens = np.zeros(0, dtype=np.uint16)
    reading = Reading(
        start_id=START, vocab_size=VOCAB, context=context, device=torch.device("cpu"), details=True
    )
    assert sum(len(each.nats) for each in read_both_ways(models, tokens, tokens, reading)) == 0


def test_probabilities_given_both_sides_sum_to_one(models):
    torch.manual_seed(0)
    forward, backward = torch.randn(2, 4, 3, VOCAB).log_softmax(-1)
    targets = torch.randint(0, SYMBOLS, (4, 3))

    found = models.combine(forward, backward, targets)

    torch.testing.assert_close(found.exp().sum(-1), torch.ones(4, 3))
    assert not found[..., [START, STOP]].exp().any()


def test_sides_that_say_nothing_leave_the_frequencies(models):
    prior = models.log_frequencies.expand(1, 1, VOCAB)

    found = models.combine(prior, prior, torch.zeros(1, 1, dtype=torch.long))

    torch.testing.assert_close(found, prior)
