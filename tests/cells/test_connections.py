"""Layers that are connected otherwise than one above the other, against their equations."""

import pytest
import torch

from charlm.cells import OneHot, RecurrentLayer, RecurrentStack, make_connection


def make_stack(new_cell, name, cell="lstm", num_layers=3, dropout=0.0, inputs=4):
    torch.manual_seed(0)
    more = inputs if name == "skip" else 0
    sizes = [inputs] + [5 + more] * (num_layers - 1)
    layers = [RecurrentLayer(new_cell(cell, size, 5)) for size in sizes]
    return RecurrentStack(layers, dropout, make_connection(name, 5, num_layers)).double()


def by_hand(stack, name, x, state):
    """What each layer sees and gives."""
    outputs = []
    for number, (layer, layer_state) in enumerate(zip(stack.layers, state, strict=True)):
        below = outputs[-1] if outputs else x
        seen = torch.cat([below, x], dim=-1) if name == "skip" and outputs else below
        output, _ = layer(seen, layer_state)
        if outputs and name == "residual":
            output = output + below
        if outputs and name == "highway":
            gate = stack.connection.gates[number - 1]
            t = (below @ gate.weight.T + gate.bias).sigmoid()
            output = t * output + (1 - t) * below
        outputs.append(output)
    return torch.cat(outputs, dim=-1) if name == "skip" else outputs[-1]


NAMES = ["plain", "residual", "highway", "skip"]


@pytest.mark.parametrize("cell", ["lstm", "rnn", "gru-2014"])
@pytest.mark.parametrize("name", NAMES)
def test_a_stack_computes_what_its_connection_says(name, cell, new_cell):
    stack = make_stack(new_cell, name, cell)
    x = torch.randn(2, 6, 4).double()
    state = stack.initial_state(2)

    output, _ = stack(x, state)

    assert output.shape == (2, 6, 15 if name == "skip" else 5)
    torch.testing.assert_close(output, by_hand(stack, name, x, state))


@pytest.mark.parametrize("name", NAMES)
def test_windows_join_and_the_state_tells_the_last_output(name, new_cell):
    stack = make_stack(new_cell, name)
    x = torch.randn(2, 7, 4).double()

    whole, last = stack(x, stack.initial_state(2))
    first, between = stack(x[:, :3], stack.initial_state(2))
    second, last_of_halves = stack(x[:, 3:], between)

    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last_of_halves, last)
    torch.testing.assert_close(stack.output(last), whole[:, -1])


def test_skips_carry_one_hot_codes_too(new_cell):
    stack = make_stack(new_cell, "skip")
    index = torch.randint(4, (2, 6))

    output, _ = stack(OneHot(index, 4), stack.initial_state(2))

    x = torch.nn.functional.one_hot(index, 4).double()
    torch.testing.assert_close(output, stack(x, stack.initial_state(2))[0])


def test_what_goes_past_a_layer_is_not_dropped(new_cell):
    stack = make_stack(new_cell, "residual", num_layers=2, dropout=0.5).train()
    with torch.no_grad():
        for parameter in stack.layers[1].parameters():
            parameter.zero_()  # so that it adds nothing
    x = torch.randn(2, 6, 4).double()

    output, _ = stack(x, stack.initial_state(2))

    torch.testing.assert_close(output, stack.layers[0](x, stack.initial_state(2)[0])[0])


def test_a_highway_begins_by_carrying(new_cell):
    stack = make_stack(new_cell, "highway")

    assert len(stack.connection.gates) == 2
    assert all(gate.bias.tolist() == [-1.0] * 5 for gate in stack.connection.gates)
