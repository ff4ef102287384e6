"""A deep transition: the hidden vector goes through a perceptron, and past it, before each step."""

import pytest
import torch

from charlm.cells import CELLS, RecurrentLayer, Transition


@pytest.mark.parametrize("depth", [2, 4])
def test_it_is_a_perceptron_with_a_way_past_it(depth):
    torch.manual_seed(0)
    transition = Transition(5, depth).double()
    hidden = torch.randn(3, 5).double()

    between = hidden
    for layer in range(depth - 1):
        between = torch.tanh(between @ transition.weight[layer].T + transition.bias[layer])

    torch.testing.assert_close(transition(hidden), hidden + between)
    assert sum(p.numel() for p in transition.parameters()) == (depth - 1) * 30


@pytest.mark.parametrize("name", [name for name in CELLS if name != "jordan"])
def test_a_layer_takes_it_before_every_step_of_its_cell(name, new_cell):
    torch.manual_seed(0)
    layer = RecurrentLayer(new_cell(name, 3, 5), transition=Transition(5, 3)).double()
    x = torch.randn(2, 6, 3).double()
    state = tuple(torch.randn(2, 5).double() for _ in layer.initial_state(2))

    output, last = layer(x, state)

    expected = []
    for x_t in x.unbind(dim=1):
        h, *rest = state
        step, state = layer.cell(x_t, (layer.transition(h), *rest))
        expected.append(step)
    torch.testing.assert_close(output, torch.stack(expected, dim=1))
    torch.testing.assert_close(last, state)


def test_it_is_used_where_torch_has_a_kernel_too(new_cell):
    layer = RecurrentLayer(new_cell("gru", 3, 5), transition=Transition(5, 2))

    assert not layer.is_fused()
    assert RecurrentLayer(layer.cell).is_fused()
