"""The language model: a body, a head, and a state that comes in and goes out."""

import numpy as np
import pytest
import torch

from charlm.cells import CELLS
from charlm.model import LanguageModel, ModelConfig
from charlm.model.head import IGNORED

NUM_GATES = {"rnn": 1, "rnn-relu": 1, "lstm": 4, "gru": 3}


def small_model(cell="lstm", *, num_layers=2, dropout=0.0, **settings):
    torch.manual_seed(0)
    sizes = {"vocab_size": 11, "embedding_size": 6, "hidden_size": 6} | settings
    return LanguageModel(
        ModelConfig(cell=cell, num_layers=num_layers, dropout=dropout, **sizes)
    ).eval()


def random_state(model, batch_size):
    state = model.initial_state(batch_size)
    return tuple(tuple(torch.randn_like(tensor) for tensor in layer) for layer in state)


@pytest.mark.parametrize("tie_embeddings", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_stepping_over_tokens_equals_a_window(cell, tie_embeddings):
    model = small_model(cell, tie_embeddings=tie_embeddings, dropout=0.5)
    tokens, state = torch.randint(11, (3, 8)), random_state(model, 3)

    logits, last = model(tokens, state)

    for t in range(8):
        stepped, state = model.step(tokens[:, t], state)
        assert stepped.shape == (3, 11)
        torch.testing.assert_close(stepped, logits[:, t])
    torch.testing.assert_close(state, last)


@pytest.mark.parametrize("cell", CELLS)
def test_a_window_in_two_halves_equals_the_whole(cell):
    model = small_model(cell)
    tokens, state = torch.randint(11, (3, 8)), random_state(model, 3)

    whole, last = model(tokens, state)
    first, between = model(tokens[:, :5], state)
    second, last_of_halves = model(tokens[:, 5:], between)

    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last_of_halves, last)


@pytest.mark.parametrize("cell", CELLS)
def test_logits_do_not_depend_on_the_other_rows_of_the_batch(cell):
    model = small_model(cell)
    tokens, state = torch.randint(11, (5, 4)), random_state(model, 5)

    together, _ = model(tokens, state)

    for row in range(5):
        own = tuple(tuple(tensor[row : row + 1] for tensor in layer) for layer in state)
        torch.testing.assert_close(model(tokens[row : row + 1], own)[0], together[row : row + 1])


def test_logits_depend_on_no_token_that_comes_later():
    model = small_model()
    tokens = torch.randint(11, (1, 8))
    changed = tokens.clone()
    changed[0, 5] = (tokens[0, 5] + 1) % 11

    logits, _ = model(tokens, model.initial_state(1))
    logits_of_changed, _ = model(changed, model.initial_state(1))

    assert logits[:, :5].equal(logits_of_changed[:, :5])
    assert not logits[:, 5:].isclose(logits_of_changed[:, 5:]).all(dim=-1).any()


def test_the_model_keeps_no_state():
    model = small_model()
    tokens, state = torch.randint(11, (2, 4)), random_state(model, 2)

    first, _ = model(tokens, state)
    second, _ = model(tokens, state)

    assert first.equal(second)


def test_tied_weights_are_one_tensor_counted_once():
    tied, untied = small_model(tie_embeddings=True), small_model(tie_embeddings=False)

    assert tied.head.projection.weight is tied.body.embedding.weight
    assert untied.head.projection.weight is not untied.body.embedding.weight
    num_tied = sum(p.numel() for p in tied.parameters())
    assert num_tied + 11 * 6 == sum(p.numel() for p in untied.parameters())


@pytest.mark.parametrize("tie_embeddings", [True, False])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_parameters_by_part_follow_the_textbook(cell, num_layers, tie_embeddings):
    vocab_size, embedding_size, hidden_size = 11, 6 if tie_embeddings else 4, 6
    model = small_model(
        cell,
        num_layers=num_layers,
        embedding_size=embedding_size,
        hidden_size=hidden_size,
        tie_embeddings=tie_embeddings,
    )

    parts = model.parameters_by_part()

    expected = {"embedding": vocab_size * embedding_size}
    for layer in range(num_layers):
        input_size = hidden_size if layer else embedding_size
        gate = input_size * hidden_size + hidden_size**2 + 2 * hidden_size
        expected[f"layer {layer}"] = NUM_GATES[cell] * gate
    expected["head"] = vocab_size + (0 if tie_embeddings else vocab_size * hidden_size)
    assert list(parts.items()) == list(expected.items())
    assert sum(parts.values()) == sum(p.numel() for p in model.parameters())


def test_carry_state_begins_with_zeros():
    model = small_model()

    state = model.carry_state(None, np.array([True, True, True]))

    torch.testing.assert_close(state, model.initial_state(3))


def test_carry_state_hands_the_state_on_where_no_row_is_fresh():
    model = small_model()
    state = random_state(model, 3)

    carried = model.carry_state(state, np.array([False, False, False]))

    torch.testing.assert_close(carried, state, rtol=0, atol=0)


@pytest.mark.parametrize("fresh", [[True, False, False], [False, True, True], [True, True, True]])
def test_carry_state_zeroes_the_fresh_rows_and_no_other(fresh):
    model = small_model()
    state = random_state(model, 3)

    carried = model.carry_state(state, np.array(fresh))

    keeps = 1 - torch.tensor(fresh).float()[:, None]
    expected = tuple(tuple(tensor * keeps for tensor in layer) for layer in state)
    torch.testing.assert_close(carried, expected, rtol=0, atol=0)


def test_nats_are_the_surprisal_of_the_targets_under_the_logits():
    model = small_model()
    tokens, state = torch.randint(11, (3, 6)), random_state(model, 3)
    inputs, targets = tokens[:, :-1], tokens[:, 1:].clone()
    targets[1, 2] = IGNORED

    nats, after = model.nats(inputs, targets, state)

    logits, expected_after = model(inputs, state)
    for row, time in np.ndindex(3, 5):
        target = targets[row, time]
        known = target != IGNORED
        expected = -logits[row, time].log_softmax(-1)[target] if known else torch.tensor(0.0)
        torch.testing.assert_close(nats[row, time], expected)
    torch.testing.assert_close(after, expected_after)


def test_the_loss_is_the_mean_of_the_nats():
    model = small_model()
    tokens, state = torch.randint(11, (3, 6)), random_state(model, 3)
    inputs, targets = tokens[:, :-1], tokens[:, 1:].clone()
    targets[1, 2:] = IGNORED

    loss, after = model.loss(inputs, targets, state)

    nats, expected_after = model.nats(inputs, targets, state)
    torch.testing.assert_close(loss, nats.sum() / 12)
    torch.testing.assert_close(after, expected_after)


@pytest.mark.parametrize("tie_embeddings", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_the_loss_reaches_every_weight(cell, tie_embeddings):
    model = small_model(cell, tie_embeddings=tie_embeddings)
    tokens = torch.arange(11)[None]

    loss, _ = model.loss(tokens[:, :-1], tokens[:, 1:], model.initial_state(1))
    loss.backward()

    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_gradients_flow_back_into_the_state_that_came_in():
    model = small_model("gru", num_layers=1)
    state = ((torch.zeros(1, 6, requires_grad=True),),)

    loss, _ = model.loss(torch.tensor([[1, 2]]), torch.tensor([[2, 3]]), state)
    loss.backward()

    assert state[0][0].grad.any()


def test_dropout_works_while_training_only():
    model = small_model(dropout=0.5)
    tokens, state = torch.randint(11, (2, 4)), model.initial_state(2)

    model.train()
    assert not model(tokens, state)[0].equal(model(tokens, state)[0])
    model.eval()
    assert model(tokens, state)[0].equal(model(tokens, state)[0])


def test_embeddings_start_uniform_within_a_tenth():
    weight = small_model(vocab_size=500).body.embedding.weight

    assert weight.abs().max() <= 0.1
    assert weight.min() < -0.099
    assert weight.max() > 0.099


def test_the_device_is_where_the_weights_are():
    assert small_model().device == torch.device("cpu")
    assert small_model().to("meta").device == torch.device("meta")
