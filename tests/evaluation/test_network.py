"""A network as a predictor: what its steps say, without dropout and without a trace."""

import numpy as np
import pytest
import torch

from charlm.cells import CELLS
from charlm.data import NOT_PREDICTED
from charlm.evaluation import NetworkPredictor
from charlm.evaluation.network import evaluating, from_logits


@pytest.mark.parametrize("cell", CELLS)
def test_a_window_says_what_single_steps_say(cell, small_model, random_text, looped, said):
    model, tokens = small_model(cell), random_text()

    _, distributions = said(NetworkPredictor(model), tokens[None].astype(int), cuts=(1, 20))

    _, expected = looped(model, tokens)
    np.testing.assert_allclose(distributions[0], expected[:-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_reading_shows_the_hidden_vectors_of_single_steps(cell, small_model, random_text, looped):
    model, tokens = small_model(cell), random_text()
    inputs = torch.as_tensor(tokens[None].astype(int))
    predictor = NetworkPredictor(model)

    hidden, logits, _ = predictor.read(inputs, inputs, predictor.initial_state(1))

    expected_hidden, expected = looped(model, tokens)
    np.testing.assert_allclose(hidden[0], expected_hidden, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logits.log_softmax(-1)[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("held", [1, 30, 100, 1 << 21])
def test_how_many_logits_are_held_makes_no_difference(
    held, small_model, random_text, looped, said, monkeypatch
):
    monkeypatch.setattr("charlm.model.cross_entropy.CPU_LOGITS", held)
    model, tokens = small_model(), random_text()
    rows = np.stack([tokens, tokens]).astype(int)

    log_probs, _ = said(NetworkPredictor(model), rows, cuts=(9,))

    _, expected = looped(model, tokens)
    predicted = np.flatnonzero(rows[0, 1:] != 24)
    own = expected[predicted, rows[0, 1:][predicted]]
    np.testing.assert_allclose(log_probs[:, predicted], [own, own], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_a_model_is_read_without_dropout_and_left_as_it_was(training, small_model, said):
    model = small_model()
    rows = np.arange(12)[None]
    expected = said(NetworkPredictor(model), rows)
    weights = [parameter.clone() for parameter in model.parameters()]

    model.train(training)
    found = said(NetworkPredictor(model), rows)

    assert np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1])
    assert all(module.training is training for module in model.modules())
    assert all(map(torch.equal, model.parameters(), weights))


def test_no_graph_is_kept(small_model):
    predictor = NetworkPredictor(small_model())
    tokens = torch.tensor([[1, 2]])

    predictions, state = predictor.predict(tokens, tokens, predictor.initial_state(1))

    values = [predictions.log_probs, predictions.distribution(), *state[0], *state[1]]
    assert not any(value.requires_grad for value in values)


@pytest.mark.parametrize("training", [True, False])
def test_a_model_is_left_as_it_was_where_reading_breaks_off(training, small_model):
    model = small_model().train(training)

    with pytest.raises(ZeroDivisionError), evaluating(model):
        assert not model.training
        raise ZeroDivisionError

    assert model.training is training


def test_logits_become_the_log_probabilities_of_their_softmax():
    logits = torch.tensor([[[1.0, 2.0, 4.0], [0.0, 0.0, 0.0], [9.0, -9.0, 0.0]]])

    predictions = from_logits(logits, torch.tensor([[2, 0, NOT_PREDICTED]]))

    probs = logits.exp() / logits.exp().sum(-1, keepdim=True)
    assert torch.allclose(predictions.distribution().exp(), probs)
    assert torch.allclose(predictions.log_probs[0, :2].exp(), probs[0, [0, 1], [2, 0]])
    assert predictions.log_probs[0, 2].isfinite()
