"""Layers on layers, and what can be done to their state."""

import pytest
import torch

from charlm.cells import (
    CELLS,
    Lookup,
    RecurrentLayer,
    RecurrentStack,
    choose_state,
    concat_states,
    detach_state,
    map_state,
    select_state,
)


@pytest.fixture
def make_stack(new_cell):
    def make_stack(cell, input_size, sizes, dropout):
        below = [input_size, *sizes]
        shapes = zip(below, sizes, strict=False)
        layers = [RecurrentLayer(new_cell(cell, *shape)) for shape in shapes]
        return RecurrentStack(layers, dropout)

    return make_stack


def random_state(stack, batch_size):
    return map_state(torch.randn_like, stack.initial_state(batch_size))


def tensors_of(state):
    return [tensor for layer in state for tensor in layer]


@pytest.mark.parametrize("cell", CELLS)
def test_a_stack_feeds_each_layer_with_the_one_below(cell, make_stack):
    torch.manual_seed(0)
    stack = make_stack(cell, 3, [5] * 3, dropout=0.5).double().eval()
    x, state = torch.randn(2, 6, 3).double(), random_state(stack, 2)

    output, after = stack(x, state)

    expected, expected_after = x, []
    for layer, layer_state in zip(stack.layers, state, strict=True):
        expected, layer_state = layer(expected, layer_state)
        expected_after.append(layer_state)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(after, tuple(expected_after))


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_layers_are_all_layers_from_the_bottom_up(cell, make_stack):
    stack = make_stack(cell, 3, [5] * 3, dropout=0.5)

    layers = stack.recurrent_layers()

    assert all(isinstance(layer, RecurrentLayer) for layer in layers)
    assert [layer.input_size for layer in layers] == [3, 5, 5]
    for layer, held in zip(layers, stack.layers, strict=True):
        assert layer is held


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_a_window_in_two_halves_equals_the_whole(cell, num_layers, make_stack):
    torch.manual_seed(0)
    stack = make_stack(cell, 3, [5] * num_layers, dropout=0.5).double().eval()
    x, state = torch.randn(2, 7, 3).double(), random_state(stack, 2)

    whole, last = stack(x, state)
    first, between = stack(x[:, :3], state)
    second, last_of_halves = stack(x[:, 3:], between)

    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last_of_halves, last)


def test_nothing_is_dropped_on_the_last_layer(make_stack):
    torch.manual_seed(0)
    stack = make_stack("gru", 3, [32], dropout=0.5).train()

    output, ((hidden,),) = stack(torch.randn(2, 6, 3), stack.initial_state(2))

    assert output.all()
    assert output[:, -1].equal(hidden)


def test_dropout_falls_between_layers(make_stack):
    torch.manual_seed(0)
    stack = make_stack("rnn", 3, [32] * 2, dropout=0.5).train()
    seen = []
    stack.layers[1].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))

    stack(torch.randn(2, 6, 3), stack.initial_state(2))

    dropped = seen[0] == 0
    assert dropped.any()
    assert dropped.equal(dropped[:, :1].expand_as(dropped))
    assert not dropped.all()


@pytest.mark.parametrize("cell", CELLS)
def test_the_initial_state_has_one_zero_state_a_layer(cell, make_stack):
    stack = make_stack(cell, 3, [5] * 2, dropout=0.0).double()

    state = stack.initial_state(4)

    assert len(state) == 2
    assert [len(layer) for layer in state] == [2 if cell.startswith("lstm") else 1] * 2
    assert all(t.shape == (4, 5) and t.dtype == torch.float64 for t in tensors_of(state))
    assert not any(t.any() for t in tensors_of(state))


def test_map_state_keeps_the_nesting():
    state = ((torch.tensor([[1.0]]), torch.tensor([[2.0]])), (torch.tensor([[3.0]]),))

    doubled = map_state(lambda tensor: 2 * tensor, state)

    assert [[t.item() for t in layer] for layer in doubled] == [[2.0, 4.0], [6.0]]


def test_select_state_names_rows_in_any_order_and_as_often_as_it_likes(make_stack):
    torch.manual_seed(0)
    state = random_state(make_stack("lstm", 3, [5] * 2, dropout=0.0), 3)

    selected = select_state(state, torch.tensor([2, 0, 2, 2]))

    for before, after in zip(tensors_of(state), tensors_of(selected), strict=True):
        assert after.equal(torch.stack([before[2], before[0], before[2], before[2]]))


@pytest.mark.parametrize("cell", CELLS)
def test_states_are_joined_one_below_the_other(cell, make_stack):
    torch.manual_seed(0)
    stack = make_stack(cell, 3, [5] * 2, dropout=0.0).double()
    states = [random_state(stack, size) for size in (2, 1, 3)]

    joined = concat_states(states)

    assert [len(layer) for layer in joined] == [len(layer) for layer in states[0]]
    for tensor, *parts in zip(tensors_of(joined), *map(tensors_of, states), strict=True):
        assert tensor.tolist() == [row for part in parts for row in part.tolist()]
        assert tensor.dtype == torch.float64


def test_rows_selected_one_by_one_are_joined_to_the_state_they_came_from(make_stack):
    torch.manual_seed(0)
    state = random_state(make_stack("lstm", 3, [5] * 3, dropout=0.0), 4)

    joined = concat_states([select_state(state, torch.tensor([row])) for row in range(4)])

    torch.testing.assert_close(joined, state, rtol=0, atol=0)


def test_states_of_stacks_of_other_depths_are_not_joined(make_stack):
    shallow, deep = (make_stack("gru", 3, [5] * n, dropout=0.0).initial_state(1) for n in (1, 2))

    with pytest.raises(ValueError, match="zip"):
        concat_states([shallow, deep])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_choose_state_takes_each_row_from_the_state_it_is_told(dtype, make_stack):
    torch.manual_seed(0)
    stack = make_stack("lstm", 3, [5] * 2, dropout=0.0).to(dtype)
    one, other = random_state(stack, 3), random_state(stack, 3)

    chosen = choose_state(torch.tensor([True, False, True]), one, other)

    for first, second, mixed in zip(*map(tensors_of, (one, other, chosen)), strict=True):
        assert mixed.dtype == dtype
        assert mixed[[0, 2]].equal(first[[0, 2]])
        assert mixed[1].equal(second[1])


def test_choose_state_leaves_nothing_of_rows_that_are_not_finite():
    bad = ((torch.tensor([[float("nan")], [float("inf")], [1.0]]),),)
    zeros = ((torch.zeros(3, 1),),)

    ((chosen,),) = choose_state(torch.tensor([True, True, False]), zeros, bad)

    assert chosen.tolist() == [[0.0], [0.0], [1.0]]


def test_detach_state_cuts_the_graph_and_keeps_the_values(make_stack):
    torch.manual_seed(0)
    stack = make_stack("lstm", 3, [5] * 2, dropout=0.0)
    _, state = stack(torch.randn(2, 4, 3), stack.initial_state(2))

    detached = detach_state(state)

    assert all(t.requires_grad for t in tensors_of(state))
    assert not any(t.requires_grad for t in tensors_of(detached))
    torch.testing.assert_close(detached, state)


@pytest.fixture
def gaps(make_stack):
    """A stack of three layers in training; what each layer put out, and what the next one got."""
    torch.manual_seed(0)
    stack = make_stack("lstm", 3, [32] * 3, dropout=0.5).train()
    given, got = [], []
    for lower, upper in zip(stack.layers, stack.layers[1:], strict=False):
        lower.register_forward_hook(lambda layer, inputs, output: given.append(output[0]))
        upper.register_forward_pre_hook(lambda layer, inputs: got.append(inputs[0]))
    stack(torch.randn(4, 6, 3), stack.initial_state(4))
    return list(zip(given, got, strict=True))


def test_between_layers_dropout_is_locked_and_scaled(gaps):
    for given, got in gaps:
        stays = got != 0
        torch.testing.assert_close(got[stays], 2 * given[stays])
        assert stays.equal(stays[:, :1].expand_as(stays))
        assert 0 < int(stays.sum()) < stays.numel()


def test_each_gap_and_each_row_has_a_mask_of_its_own(gaps):
    masks = [tuple(row) for _, got in gaps for row in (got[:, 0] != 0).tolist()]

    assert len(set(masks)) == 2 * 4


def test_what_a_layer_hands_to_the_next_window_is_not_dropped(make_stack):
    torch.manual_seed(0)
    stack = make_stack("lstm", 3, [32] * 2, dropout=0.5).train()

    _, state = stack(torch.randn(4, 6, 3), stack.initial_state(4))

    assert all(tensor.all() for tensor in tensors_of(state))


def test_layers_may_have_sizes_of_their_own(make_stack):
    torch.manual_seed(0)
    stack = make_stack("lstm", 3, [8, 5, 7], dropout=0.5).double().eval()

    output, state = stack(torch.randn(2, 6, 3).double(), random_state(stack, 2))

    assert output.shape == (2, 6, 7)
    assert [tuple(hidden.shape) for hidden, _ in state] == [(2, 8), (2, 5), (2, 7)]
    assert output[:, -1].equal(state[-1][0])


def test_the_first_layer_may_be_given_a_lookup(make_stack):
    torch.manual_seed(0)
    stack = make_stack("gru", 3, [5] * 2, dropout=0.5).double().eval()
    lookup = Lookup(torch.randn(4, 3).double(), torch.randint(4, (2, 6)))
    state = random_state(stack, 2)

    torch.testing.assert_close(stack(lookup, state), stack(lookup.dense(), state))
