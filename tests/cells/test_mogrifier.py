"""The Mogrifier against its equations, written again, and against the LSTM that it is without."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd import gradcheck
from torch.func import functional_call

from charlm.cells import RecurrentLayer, make_cell
from charlm.cells.lstm import LSTMCell
from charlm.cells.mogrifier import MogrifierCell

ROUNDS = [1, 2, 5]


def random_step(batch_size=4):
    x = torch.randn(batch_size, 3, dtype=torch.float64)
    return x, tuple(torch.randn(batch_size, 5, dtype=torch.float64) for _ in range(2))


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def mogrify(x, h, matrices):
    """Melis et al. 2020, eqs. 1 and 2: x[i] and h[i] by their upper indices, for one row."""
    inputs, outputs = {-1: x}, {0: h}
    for i, matrix in enumerate(matrices, start=1):
        if i % 2 == 1:
            inputs[i] = 2 * sigmoid(matrix @ outputs[i - 1]) * inputs[i - 2]
        else:
            outputs[i] = 2 * sigmoid(matrix @ inputs[i - 1]) * outputs[i - 2]
    return inputs[max(inputs)], outputs[max(outputs)]


@pytest.mark.parametrize("rounds", ROUNDS)
def test_a_step_is_that_of_an_lstm_on_the_input_and_output_that_gated_each_other(rounds):
    torch.manual_seed(0)
    mogrifier = MogrifierCell(3, 5, rounds).double()
    lstm = LSTMCell(3, 5).double()
    lstm.load_state_dict({k: mogrifier.state_dict()[k] for k in lstm.state_dict()})
    x, (h, c) = random_step()

    output, state = mogrifier(x, (h, c))

    matrices = [matrix.detach().numpy() for matrix in mogrifier.mogrifier]
    gated = [mogrify(*row, matrices) for row in zip(x.numpy(), h.numpy(), strict=True)]
    x_gated, h_gated = (torch.tensor(np.array(part)) for part in zip(*gated, strict=True))
    torch.testing.assert_close((output, state), lstm(x_gated, (h_gated, c)))


def test_matrices_map_output_to_input_and_input_to_output_in_turn():
    shapes = [tuple(matrix.shape) for matrix in MogrifierCell(3, 5, 5).mogrifier]

    assert shapes == [(3, 5), (5, 3), (3, 5), (5, 3), (3, 5)]


def test_without_rounds_it_is_the_lstm():
    torch.manual_seed(0)
    mogrifier, lstm = MogrifierCell(3, 5, 0).double(), LSTMCell(3, 5).double()
    lstm.load_state_dict(mogrifier.state_dict())
    x, state = random_step()

    torch.testing.assert_close(mogrifier(x, state), lstm(x, state))  # sums in another order


def test_matrices_of_zeros_gate_nothing():
    torch.manual_seed(0)
    mogrifier, lstm = MogrifierCell(3, 5, 4).double(), LSTMCell(3, 5).double()
    for matrix in mogrifier.mogrifier:
        nn.init.zeros_(matrix)
    lstm.load_state_dict({k: mogrifier.state_dict()[k] for k in lstm.state_dict()})
    x, state = random_step()

    torch.testing.assert_close(mogrifier(x, state), lstm(x, state))


@pytest.mark.parametrize("rounds", ROUNDS)
def test_gradients_equal_finite_differences(rounds):
    torch.manual_seed(1)
    cell = MogrifierCell(3, 5, rounds).double()
    x, state = random_step(2)
    names, weights = zip(*cell.named_parameters(), strict=True)

    def step(x, hidden, before, *weights):
        named = dict(zip(names, weights, strict=True))
        output, after = functional_call(cell, named, (x, (hidden, before)))
        return output, *after

    assert len(weights) == 4 + rounds
    assert gradcheck(step, [t.requires_grad_() for t in (x, *state)] + list(weights))


def test_a_step_leaves_the_state_it_was_given_alone():
    torch.manual_seed(0)
    x, state = random_step()
    before = [tensor.clone() for tensor in (x, *state)]

    MogrifierCell(3, 5, 4).double()(x, state)

    assert all(t.equal(b) for t, b in zip((x, *state), before, strict=True))


@pytest.mark.parametrize("cut", [1, 3, 6])
def test_a_layer_of_it_is_the_cell_stepped_and_windows_join(cut):
    torch.manual_seed(0)
    layer = RecurrentLayer(make_cell("lstm", 3, 5, mogrifier_steps=3)).double()
    x, (_, state) = torch.randn(2, 7, 3).double(), random_step(2)

    whole, last = layer(x, state)
    first, between = layer(x[:, :cut], state)
    second, last_of_parts = layer(x[:, cut:], between)

    stepped = state
    for t in range(7):
        output, stepped = layer.cell(x[:, t], stepped)
        torch.testing.assert_close(whole[:, t], output)
    torch.testing.assert_close(last, stepped)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last_of_parts, last)


def test_in_bfloat16_a_layer_of_it_is_nearly_the_same():
    torch.manual_seed(0)
    layer = RecurrentLayer(make_cell("lstm", 3, 5, mogrifier_steps=3))
    x, state = torch.randn(2, 7, 3), tuple(torch.randn(2, 5) for _ in range(2))

    exact, _ = layer(x, state)
    with torch.autocast("cpu", torch.bfloat16):
        assert not layer.shares_inputs()
        quick, _ = layer(x, state)

    torch.testing.assert_close(quick.float(), exact, rtol=0.05, atol=0.03)


@pytest.mark.parametrize("rounds", ROUNDS)
def test_an_lstm_with_mogrifier_steps_is_a_mogrifier(rounds):
    cell = make_cell("lstm", 3, 5, mogrifier_steps=rounds)

    assert type(cell) is MogrifierCell and len(cell.mogrifier) == rounds
    assert type(make_cell("lstm", 3, 5)) is LSTMCell
