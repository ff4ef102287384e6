"""A label enters as an initial state, as an input at every step, or both."""

import numpy as np
import pytest
import torch

from charlm.cells import CELLS
from charlm.errors import ConfigError
from charlm.model import LanguageModel, ModelConfig, count_parameters

SIZE, LABELS, VOCAB = 6, 3, 11


def make(label="both", **settings):
    torch.manual_seed(0)
    shape = {"vocab_size": VOCAB, "hidden_size": SIZE, "embedding_size": SIZE, "dropout": 0.0}
    model = LanguageModel(ModelConfig(**shape, label=label, num_labels=LABELS, **settings)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) / 2)
    return model


def read(model, tokens, labels):
    state = model.carry_state(None, np.ones(len(labels), dtype=bool), np.array(labels))
    return model(tokens, state)


TOKENS = torch.tensor([[1, 2, 3, 4], [1, 2, 3, 4]])


def test_an_initial_state_is_the_label_s_own():
    model = make("state", num_layers=2)
    expected = model.body.labels.initial[2].split([SIZE] * 4)

    state = model.carry_state(None, np.array([True]), np.array([2]))

    found = [part[0] for layer in state for part in layer]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_an_input_at_every_step_is_a_column_added_to_the_gates():
    """Equal to a model without labels whose bias holds the label's column."""
    labelled, plain = (
        make("input"),
        LanguageModel(
            ModelConfig(vocab_size=VOCAB, hidden_size=SIZE, embedding_size=SIZE, dropout=0.0)
        ).double(),
    )
    weights = dict(labelled.named_parameters())
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            wide = weights[name]
            if name.endswith("weight_ih"):
                parameter.copy_(wide[:, :SIZE])
            elif name.endswith("bias_ih"):
                column = weights[name.replace("bias_ih", "weight_ih")][:, SIZE + 1]
                parameter.copy_(wide + column)
            else:
                parameter.copy_(wide)

    logits, _ = read(labelled, TOKENS, [1, 1])
    expected, _ = plain(TOKENS, plain.initial_state(2))

    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize("label", ["state", "input", "both"])
@pytest.mark.parametrize("cell", CELLS)
def test_windows_carry_the_label_on_and_steps_do_too(label, cell):
    model = make(label, cell=cell).eval()
    whole, _ = read(model, TOKENS, [0, 2])
    first, state = read(model, TOKENS[:, :2], [0, 2])
    carried = model.carry_state(state, np.array([False, False]), np.array([0, 2]))
    second, _ = model(TOKENS[:, 2:], carried)

    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    assert not torch.allclose(whole[0], whole[1])
    state = model.carry_state(None, np.ones(2, dtype=bool), np.array([0, 2]))
    for place in range(TOKENS.shape[1]):
        logits, state = model.step(TOKENS[:, place], state)
        torch.testing.assert_close(logits, whole[:, place])


def test_a_row_that_begins_anew_takes_its_own_label():
    model = make().eval()
    _, state = read(model, TOKENS, [0, 1])

    state = model.carry_state(state, np.array([True, False]), np.array([2, 1]))
    mixed, _ = model(TOKENS, state)
    fresh, _ = read(model, TOKENS, [2, 2])

    torch.testing.assert_close(mixed[0], fresh[0])
    assert not torch.allclose(mixed[1], fresh[1])


@pytest.mark.parametrize("label", ["state", "input", "both"])
def test_under_a_blend_a_model_begins_between_its_labels(label):
    model = make(label).eval()
    codes = torch.eye(LABELS)

    for number in range(LABELS):
        one, _ = model.under(codes[number])(TOKENS, model.under(codes[number]).initial_state(2))
        torch.testing.assert_close(one, read(model, TOKENS, [number] * 2)[0])
    blend = torch.tensor([0.5, 0.25, 0.25])
    state = model.under(blend).initial_state(2)
    if label != "input":
        expected = (blend.double() @ model.body.labels.initial)[:SIZE]
        torch.testing.assert_close(state[0][0][0], expected)
    assert model.blend is None


@pytest.mark.parametrize("label", ["state", "input", "both"])
def test_gradients_reach_what_the_label_brings(label):
    model = make(label)
    state = model.carry_state(None, np.ones(2, dtype=bool), np.array([0, 2]))
    loss, _ = model.loss(TOKENS, TOKENS, state)
    loss.backward()

    if label != "input":
        gradient = model.body.labels.initial.grad
        assert gradient[0].any() and gradient[2].any() and not gradient[1].any()
    if label != "state":
        columns = model.body.stack.recurrent_layers()[0].cell.weight_ih.grad[:, SIZE:]
        assert columns[:, 0].any() and columns[:, 2].any() and not columns[:, 1].any()


@pytest.mark.parametrize("label", ["state", "input", "both"])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru-2014"])
@pytest.mark.parametrize("depth", [{}, {"num_layers": 3}, {"num_layers": 2, "connect": "skip"}])
def test_labels_are_counted(label, cell, depth):
    tied = depth.get("connect") != "skip"
    model = make(label, cell=cell, tie_embeddings=tied, **depth)

    counted = {part.part: part.count for part in count_parameters(model.config)}

    assert counted == model.parameters_by_part()


@pytest.mark.parametrize(
    ("label", "number", "message"),
    [
        ("both", 0, "num_labels must be a whole number of at least 1 with a label, not 0"),
        ("state", -1, "num_labels must be a whole number of at least 1"),
        (None, 2, "num_labels has no effect without a label; add --label both"),
    ],
)
def test_labels_and_their_number_go_together(label, number, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(vocab_size=9, label=label, num_labels=number)


def test_there_are_three_ways_in():
    with pytest.raises(ConfigError, match="label must be one of state, input, both, not 'x'"):
        ModelConfig(vocab_size=9, label="x", num_labels=1)
