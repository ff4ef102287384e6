"""Laws that every cell obeys."""

import pytest
import torch
from torch.autograd import gradcheck
from torch.func import functional_call

from charlm.cells import CELLS, RecurrentCell

SHAPES = {
    # rows of the weights at hidden_size 7, tensors of state, and weights of the cell's own
    "rnn": (7, 1, {}),
    "rnn-relu": (7, 1, {}),
    "rnn-sigmoid": (7, 1, {}),
    "jordan": (7, 1, {"weight_hh": (7, 6)}),
    "elman-jordan": (7, 1, {"weight_oh": (7, 6)}),
    "leaky": (7, 1, {}),
    "leaky-learned": (7, 1, {"leak_logit": (7,)}),
    "lstm": (28, 2, {}),
    "lstm-1997": (21, 2, {}),
    "lstm-coupled": (21, 2, {}),
    "lstm-peephole": (28, 2, {"weight_ch": (3, 7)}),
    "gru": (21, 1, {}),
    "gru-2014": (21, 1, {}),
}


FORGET_GATE = {"lstm": 1, "lstm-peephole": 1, "lstm-coupled": 0}


@pytest.mark.parametrize("name", CELLS)
def test_gradients_equal_finite_differences(name, new_cell):
    torch.manual_seed(1)
    cell = new_cell(name, 3, 4).double()
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    state = [torch.randn_like(x[:, :1].expand(2, 4)) for _ in range(cell.num_states)]
    state = [s.detach().requires_grad_() for s in state]
    names, weights = zip(*cell.named_parameters(), strict=True)

    def step(x, *tensors):
        state, weights = tensors[: cell.num_states], tensors[cell.num_states :]
        output, after = functional_call(cell, dict(zip(names, weights, strict=True)), (x, state))
        return output, *after

    assert gradcheck(step, (x, *state, *weights))


@pytest.mark.parametrize("name", CELLS)
def test_weights_and_states_have_the_shapes_of_torch(name, new_cell):
    rows, num_states, own = SHAPES[name]

    cell = new_cell(name, 5, 7)
    output, state = cell(torch.randn(3, 5), cell.initial_state(3))

    assert {k: tuple(p.shape) for k, p in cell.named_parameters()} == {
        "weight_ih": (rows, 5),
        "weight_hh": (rows, 7),
        "bias_ih": (rows,),
        "bias_hh": (rows,),
        **own,
    }
    assert output.shape == (3, 7)
    assert [s.shape for s in state] == [(3, 7)] * num_states


@pytest.mark.parametrize("name", CELLS)
def test_the_output_is_the_hidden_state(name, new_cell):
    torch.manual_seed(0)
    cell = new_cell(name, 5, 7)

    output, state = cell(torch.randn(3, 5), cell.initial_state(3))

    assert output.equal(state[0])


@pytest.mark.parametrize("name", CELLS)
def test_a_step_leaves_the_state_it_was_given_alone(name, new_cell):
    torch.manual_seed(0)
    cell = new_cell(name, 5, 7)
    state = tuple(torch.randn(3, 7) for _ in range(cell.num_states))
    before = [s.clone() for s in state]

    cell(torch.randn(3, 5), state)

    assert all(s.equal(b) for s, b in zip(state, before, strict=True))


@pytest.mark.parametrize("name", CELLS)
def test_the_initial_state_is_zero_in_the_dtype_of_the_weights(name, new_cell):
    cell = new_cell(name, 5, 7).double()

    state = cell.initial_state(3)

    assert len(state) == SHAPES[name][1]
    assert all(s.shape == (3, 7) and s.dtype == torch.float64 for s in state)
    assert not any(s.any() for s in state)


@pytest.mark.parametrize("name", CELLS)
def test_weights_start_uniform_within_one_over_the_root_of_the_hidden_size(name, new_cell):
    torch.manual_seed(0)

    cell = new_cell(name, 50, 100)

    for key, parameter in cell.named_parameters():
        if key == "leak_logit":
            continue
        if key[:4] == "bias" and name in FORGET_GATE:  # whose biases are set
            kept = torch.arange(cell.num_gates) != FORGET_GATE[name]
            parameter = parameter.view(-1, 100)[kept]
        assert parameter.abs().max() <= 0.1
        assert parameter.min() < -0.09
        assert parameter.max() > 0.09


def test_a_cell_without_equations_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        RecurrentCell(2, 2)
