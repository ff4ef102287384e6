"""The fused layer equals its cell, stepped."""

import pytest
import torch

from charlm.cells import CELLS, RecurrentLayer


def random_state(layer, batch_size):
    return tuple(
        torch.randn(batch_size, layer.hidden_size).to(layer.fused.weight_hh_l0)
        for _ in range(layer.num_states)
    )


def unroll(cell, x, state):
    outputs = []
    for x_t in x.unbind(dim=1):
        output, state = cell(x_t, state)
        outputs.append(output)
    return torch.stack(outputs, dim=1), state


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("time", [1, 6])
@pytest.mark.parametrize("cell", CELLS)
def test_the_fused_layer_equals_its_step_cell_unrolled(cell, time, batch_size):
    torch.manual_seed(0)
    layer = RecurrentLayer(cell, 3, 5).double()
    x, state = torch.randn(batch_size, time, 3).double(), random_state(layer, batch_size)

    output, last = layer(x, state)
    expected_output, expected_last = unroll(layer.step_cell(), x, state)

    assert output.shape == (batch_size, time, 5)
    torch.testing.assert_close(output, expected_output)
    torch.testing.assert_close(last, expected_last)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_the_fused_layer_equal_those_of_its_step_cell_unrolled(cell):
    torch.manual_seed(0)
    layer = RecurrentLayer(cell, 3, 5).double()
    x, state = torch.randn(2, 6, 3).double(), random_state(layer, 2)
    weight = torch.randn(2, 6, 5).double()

    fused = torch.autograd.grad((layer(x, state)[0] * weight).sum(), layer.parameters())
    stepped_output, _ = unroll(layer.step_cell(), x, state)
    stepped = torch.autograd.grad((stepped_output * weight).sum(), layer.parameters())

    torch.testing.assert_close(fused, stepped)


@pytest.mark.parametrize("cell", CELLS)
def test_a_window_in_two_halves_equals_the_whole(cell):
    torch.manual_seed(0)
    layer = RecurrentLayer(cell, 3, 5).double()
    x, state = torch.randn(2, 7, 3).double(), random_state(layer, 2)

    whole, last = layer(x, state)
    first, between = layer(x[:, :4], state)
    second, last_of_halves = layer(x[:, 4:], between)

    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last_of_halves, last)


@pytest.mark.parametrize("cell", CELLS)
def test_the_step_cell_shares_the_weights_of_the_layer(cell):
    layer = RecurrentLayer(cell, 3, 5)

    weights = dict(layer.step_cell().named_parameters())

    assert weights.keys() == {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}
    assert all(weights[name] is getattr(layer.fused, f"{name}_l0") for name in weights)


@pytest.mark.parametrize("cell", CELLS)
def test_the_initial_state_is_zero_in_the_dtype_of_the_weights(cell):
    layer = RecurrentLayer(cell, 3, 5).double()

    state = layer.initial_state(2)

    assert len(state) == (2 if cell == "lstm" else 1)
    assert all(s.shape == (2, 5) and s.dtype == torch.float64 for s in state)
    assert not any(s.any() for s in state)


def test_the_forget_biases_of_an_lstm_sum_to_one_at_the_start():
    lstm = RecurrentLayer("lstm", 3, 5).fused

    total = lstm.bias_ih_l0 + lstm.bias_hh_l0

    assert total[5:10].tolist() == [1.0] * 5
    others = torch.cat([total[:5], total[10:]])
    assert others.abs().max() < 1
    assert others.unique().numel() == 15


def test_a_layer_remembers_what_it_is_made_of():
    layer = RecurrentLayer("gru", 3, 5)

    assert (layer.cell, layer.input_size, layer.hidden_size) == ("gru", 3, 5)
