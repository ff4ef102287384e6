"""The fused layer equals its cell, stepped; dropped weights are dropped for a whole window."""

from copy import deepcopy

import pytest
import torch

from charlm.cells import CELLS, Lookup, RecurrentLayer
from charlm.kernels import lstm_speed

needs_kernel = pytest.mark.skipif(not lstm_speed(), reason="no compiled kernel for this processor")
KINDS = [*((name, 0) for name in CELLS), ("lstm", 3)]  # and rounds of a Mogrifier


def random_state(layer, batch_size):
    return tuple(
        torch.randn(batch_size, layer.hidden_size).to(layer.cell.weight_hh)
        for _ in range(layer.cell.num_states)
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
def test_the_fused_layer_equals_its_cell_unrolled(cell, time, batch_size, new_cell):
    torch.manual_seed(0)
    layer = RecurrentLayer(new_cell(cell, 3, 5)).double()
    x, state = torch.randn(batch_size, time, 3).double(), random_state(layer, batch_size)

    output, last = layer(x, state)
    expected_output, expected_last = unroll(layer.cell, x, state)

    assert output.shape == (batch_size, time, 5)
    torch.testing.assert_close(output, expected_output)
    torch.testing.assert_close(last, expected_last)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_the_fused_layer_equal_those_of_its_cell_unrolled(cell, new_cell):
    torch.manual_seed(0)
    layer = RecurrentLayer(new_cell(cell, 3, 5)).double()
    x, state = torch.randn(2, 6, 3).double(), random_state(layer, 2)
    weight = torch.randn(2, 6, 5).double()

    fused = torch.autograd.grad((layer(x, state)[0] * weight).sum(), layer.parameters())
    stepped_output, _ = unroll(layer.cell, x, state)
    stepped = torch.autograd.grad((stepped_output * weight).sum(), layer.parameters())

    torch.testing.assert_close(fused, stepped)


@pytest.mark.parametrize("cell", CELLS)
def test_a_window_in_two_halves_equals_the_whole(cell, new_cell):
    torch.manual_seed(0)
    layer = RecurrentLayer(new_cell(cell, 3, 5)).double()
    x, state = torch.randn(2, 7, 3).double(), random_state(layer, 2)

    whole, last = layer(x, state)
    first, between = layer(x[:, :4], state)
    second, last_of_halves = layer(x[:, 4:], between)

    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last_of_halves, last)


@pytest.mark.parametrize("cell", CELLS)
def test_the_initial_state_is_zero_in_the_dtype_of_the_weights(cell, new_cell):
    layer = RecurrentLayer(new_cell(cell, 3, 5)).double()

    state = layer.initial_state(2)

    assert len(state) == (2 if cell.startswith("lstm") else 1)
    assert all(s.shape == (2, 5) and s.dtype == torch.float64 for s in state)
    assert not any(s.any() for s in state)


def test_the_forget_biases_of_an_lstm_sum_to_one_at_the_start(new_cell):
    lstm = RecurrentLayer(new_cell("lstm", 3, 5)).cell

    total = lstm.bias_ih + lstm.bias_hh

    assert total[5:10].tolist() == [1.0] * 5
    others = torch.cat([total[:5], total[10:]])
    assert others.abs().max() < 1
    assert others.unique().numel() == 15


def test_a_layer_remembers_what_it_is_made_of(new_cell):
    layer = RecurrentLayer(new_cell("gru", 3, 5))

    assert (layer.input_size, layer.hidden_size) == (3, 5)
    assert isinstance(layer.cell, CELLS["gru"])


@pytest.fixture(params=KINDS, ids=str)
def dropped(request, new_cell):
    """A layer in training that drops half of its recurrent weights; and those it used, in turn."""
    torch.manual_seed(0)
    name, rounds = request.param
    layer = RecurrentLayer(new_cell(name, 3, 8, rounds), weight_dropout=0.5).double().train()
    masked = []
    layer.weight_dropout.register_forward_hook(lambda *call: masked.append(call[-1]))
    return layer, masked


def cell_with(layer, weight_hh):
    """The layer's cell with other recurrent weights."""
    cell = deepcopy(layer.cell)
    with torch.no_grad():
        cell.weight_hh.copy_(weight_hh)
    return cell


def test_a_whole_window_has_one_mask_of_recurrent_weights(dropped):
    layer, masked = dropped
    x, state = torch.randn(2, 6, 3).double(), random_state(layer, 2)

    output, last = layer(x, state)

    (weight_hh,) = masked
    expected_output, expected_last = unroll(cell_with(layer, weight_hh), x, state)
    assert 0 < int((weight_hh == 0).sum()) < weight_hh.numel()
    torch.testing.assert_close(output, expected_output)
    torch.testing.assert_close(last, expected_last)


def test_the_raw_weights_get_the_gradients_of_those_that_stay_scaled(dropped):
    layer, masked = dropped
    x, state = torch.randn(2, 6, 3).double(), random_state(layer, 2)
    weight = torch.randn(2, 6, 8).double()

    (layer(x, state)[0] * weight).sum().backward()

    cell = cell_with(layer, masked[0])
    (unroll(cell, x, state)[0] * weight).sum().backward()
    for (name, raw), reference in zip(
        layer.cell.named_parameters(), cell.parameters(), strict=True
    ):
        mask = (masked[0] != 0) / 0.5 if name == "weight_hh" else 1.0
        torch.testing.assert_close(raw.grad, reference.grad * mask)
    assert layer.cell.weight_hh.grad.any()


def test_only_recurrent_weights_are_dropped_and_they_stay_what_they_are(dropped):
    layer, masked = dropped
    before = deepcopy(layer.state_dict())

    layer(torch.randn(2, 6, 3).double(), layer.initial_state(2))

    stays = masked[0] != 0
    torch.testing.assert_close(masked[0][stays], 2 * layer.cell.weight_hh[stays])
    torch.testing.assert_close(layer.state_dict(), before, rtol=0, atol=0)


def test_each_window_has_a_mask_of_its_own(dropped):
    layer, masked = dropped

    for _ in range(2):
        layer(torch.randn(2, 6, 3).double(), layer.initial_state(2))

    first, second = masked
    assert not (first == 0).equal(second == 0)


def test_in_evaluation_the_weights_are_the_raw_ones_exactly(dropped):
    layer, _ = dropped
    x, state = torch.randn(2, 6, 3).double(), random_state(layer, 2)

    evaluated = layer.eval()(x, state)

    plain = RecurrentLayer(layer.cell).eval()(x, state)
    torch.testing.assert_close(evaluated, plain, rtol=0, atol=0)


def test_dropping_weights_adds_none_and_renames_none(dropped):
    layer, _ = dropped

    assert list(layer.state_dict()) == list(RecurrentLayer(layer.cell).state_dict())


@needs_kernel
@pytest.mark.parametrize("cell", ["lstm", "lstm-peephole"])
def test_our_own_kernel_drops_weights_as_torch_does(cell, new_cell):
    torch.manual_seed(0)
    layer = RecurrentLayer(new_cell(cell, 6, 40), weight_dropout=0.5).train()
    x, state, weight = torch.randn(3, 5, 6), layer.initial_state(3), torch.randn(3, 5, 40)
    outputs, gradients = [], []
    for autocast in (True, False):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            assert layer.shares_inputs() == autocast
            outputs.append(layer(x, state)[0].float())
        (gradient,) = torch.autograd.grad((outputs[-1] * weight).sum(), layer.cell.weight_hh)
        gradients.append(gradient)

    torch.testing.assert_close(*outputs, rtol=0.05, atol=0.02)
    assert (gradients[0] == 0).equal(gradients[1] == 0)
    assert (gradients[0] - gradients[1]).norm() < 0.02 * gradients[1].norm()


@pytest.mark.parametrize("cell", CELLS)
def test_a_lookup_is_the_inputs_it_stands_for_on_torchs_kernels_too(cell, new_cell):
    torch.manual_seed(0)
    layer = RecurrentLayer(new_cell(cell, 3, 5)).double()
    vectors, index = torch.randn(4, 3).double(), torch.randint(4, (2, 6))

    looked_up = layer(Lookup(vectors, index), layer.initial_state(2))

    rows = torch.stack([vectors[number] for number in index.flatten()]).view(2, 6, 3)
    torch.testing.assert_close(looked_up, layer(rows, layer.initial_state(2)))


def test_inputs_are_shared_only_by_an_lstm_where_our_own_kernel_runs(monkeypatch, new_cell):
    asked = []
    monkeypatch.setattr(
        "charlm.cells.layer.has_fast_recurrence", lambda weight: asked.append(weight) or True
    )
    kinds = [RecurrentLayer(new_cell(name, 3, 5, rounds)) for name, rounds in KINDS]

    own = [("lstm", 0), ("lstm-peephole", 0)]
    assert [layer.shares_inputs() for layer in kinds] == [kind in own for kind in KINDS]
    expected = [kinds[KINDS.index(kind)].cell.weight_hh for kind in own]
    assert all(a is b for a, b in zip(asked, expected, strict=True))
