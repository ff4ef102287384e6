"""Our own recurrence against torch's LSTM, in all that it computes and by both its instructions."""

import pytest
import torch

from charlm.cells import Lookup, RecurrentLayer, make_cell, recurrence
from charlm.cells.recurrence import gather, has_fast_recurrence, lstm_window
from charlm.kernels import Speed, lstm_speed

pytestmark = pytest.mark.skipif(not lstm_speed(), reason="no compiled kernel for this processor")

SPEEDS = [speed for speed in Speed if Speed.NONE < speed <= lstm_speed()]
SHAPES = [(1, 1, 5), (2, 3, 16), (20, 7, 40), (33, 5, 130), (64, 2, 96)]  # batch, time, hidden size


@pytest.fixture(params=SPEEDS, ids=lambda speed: speed.name, autouse=True)
def speed(request, monkeypatch):
    monkeypatch.setattr(recurrence, "lstm_speed", lambda: request.param)


def naive_lstm(inputs, weight_hh, bias, hidden, cell, peepholes=None):
    """Step by step in float32, as autograd differentiates it."""
    outputs = []
    see_i, see_f, see_o = bias.new_zeros(3, 1) if peepholes is None else peepholes
    for x in inputs.unbind(1):
        i, f, g, o = (x + hidden @ weight_hh.t() + bias).chunk(4, -1)
        i, f = i + see_i * cell, f + see_f * cell
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        hidden = (o + see_o * cell).sigmoid() * cell.tanh()
        outputs.append(hidden)
    return torch.stack(outputs, 1), hidden, cell


def random_problem(batch, time, size):
    torch.manual_seed(batch * time * size)
    inputs = torch.randn(batch * time, 4 * size).bfloat16()
    weight_hh, bias = torch.randn(4 * size, size) / size**0.5, torch.randn(4 * size)
    hidden, cell = torch.randn(batch, size) / 2, torch.randn(batch, size)
    return [t.requires_grad_() for t in (inputs, weight_hh, bias, hidden, cell)]


def distance(x, expected):
    """Relative, in the root mean square."""
    x, expected = x.detach().float(), expected.detach().float()
    return float((x - expected).norm() / expected.norm().clamp(min=1e-3))


@pytest.mark.parametrize("sees_cell", [False, True], ids=["plain", "peepholes"])
@pytest.mark.parametrize(("batch", "time", "size"), SHAPES)
def test_outputs_and_all_gradients_are_those_of_the_equations(batch, time, size, sees_cell):
    inputs, weight_hh, bias, hidden, cell = problem = random_problem(batch, time, size)
    index = torch.arange(batch * time).view(batch, time)
    own = [torch.randn(3, size).requires_grad_()] if sees_cell else []
    problem += own

    output, (last_hidden, last_cell) = lstm_window(
        inputs, index, weight_hh, bias, (hidden, cell), *own
    )
    expected = naive_lstm(inputs.float().view(batch, time, -1), weight_hh, bias, hidden, cell, *own)
    found = (output, last_hidden, last_cell)
    weights = [torch.randn_like(t) for t in expected]
    gradients = [
        torch.autograd.grad(
            sum((t.float() * w).sum() for t, w in zip(tensors, weights, strict=True)), problem
        )
        for tensors in (found, expected)
    ]

    assert output.shape == (batch, time, size) and output.dtype == torch.bfloat16
    assert all(distance(a, b) < 0.01 for a, b in zip(found, expected, strict=True))
    assert all(distance(a, b) < 0.02 for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize(("batch", "time", "size"), SHAPES)
def test_without_gradients_the_result_is_the_same_to_the_last_bit(batch, time, size, monkeypatch):
    inputs, weight_hh, bias, *state = random_problem(batch, time, size)
    index = torch.arange(batch * time).view(batch, time)
    packed, pack_weights = [], recurrence.pack_weights

    def remember(weight, padded, both):
        packed.append(both)
        return pack_weights(weight, padded, both)

    monkeypatch.setattr(recurrence, "pack_weights", remember)
    trained = lstm_window(inputs, index, weight_hh, bias, tuple(state))
    with torch.no_grad():
        evaluated = lstm_window(inputs, index, weight_hh, bias, tuple(state))

    assert packed == [True, False]  # nothing is kept for gradients that nobody wants
    assert trained[0].equal(evaluated[0])
    assert all(a.equal(b) for a, b in zip(trained[1], evaluated[1], strict=True))


def test_steps_with_inputs_of_their_own_need_no_index():
    inputs, weight_hh, bias, *state = random_problem(4, 6, 24)
    index = torch.arange(24).view(4, 6)

    named = lstm_window(inputs, index, weight_hh, bias, tuple(state))[0]
    own = lstm_window(inputs.view(4, 6, -1), None, weight_hh, bias, tuple(state))[0]
    gradients = [torch.autograd.grad(o.float().square().sum(), inputs)[0] for o in (named, own)]

    assert own.equal(named)
    assert gradients[0].equal(gradients[1])


def test_as_many_inputs_as_steps_need_not_be_in_their_order():
    inputs, weight_hh, bias, *state = random_problem(2, 8, 16)
    index = torch.randint(16, (2, 8), generator=torch.Generator().manual_seed(3))

    output, _ = lstm_window(inputs, index, weight_hh, bias, tuple(state))
    expected, *_ = naive_lstm(inputs.float()[index], weight_hh, bias, *state)
    gradients = [
        torch.autograd.grad(o.float().square().sum(), inputs)[0] for o in (output, expected)
    ]

    assert distance(*gradients) < 0.02


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("size", [16, 70])
def test_rows_and_gradients_are_the_same_to_the_last_bit_by_any_number_of_threads(size, threads):
    problem = inputs, weight_hh, bias, hidden, cell = random_problem(20, 4, size)
    index = torch.arange(80).view(20, 4)

    def learn():
        output, _ = lstm_window(inputs, index, weight_hh, bias, (hidden, cell))
        return output, torch.autograd.grad(output.float().square().sum(), problem)

    whole, gradients = learn()
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        again, same_gradients = learn()
        row, _ = lstm_window(inputs, index[7:8], weight_hh, bias, (hidden[7:8], cell[7:8]))
    finally:
        torch.set_num_threads(before)

    assert again.equal(whole) and row[0].equal(whole[7])
    assert all(a.equal(b) for a, b in zip(gradients[2:], same_gradients[2:], strict=True))


def test_a_forget_gate_near_one_still_forgets_backwards():
    inputs = torch.zeros(1, 64, 4 * 16).bfloat16()
    inputs[..., 16:32] = 6.0  # f = 0.9975, which bfloat16 takes for 1
    zeros = torch.zeros(1, 16)
    first = torch.ones(1, 16, requires_grad=True)

    _, (_, last) = lstm_window(inputs, None, torch.zeros(64, 16), torch.zeros(64), (zeros, first))
    (gradient,) = torch.autograd.grad(last.sum(), first)

    expected = torch.full((1, 16), float(torch.sigmoid(torch.tensor(6.0))) ** 64)
    torch.testing.assert_close(gradient, expected, rtol=0.01, atol=0)


@pytest.mark.parametrize("token", [-1, 4, 10**6])
def test_tokens_that_are_not_there_are_refused(token):
    zeros = torch.zeros(1, 16)

    with pytest.raises(IndexError, match="not among the 4"):
        lstm_window(
            torch.zeros(4, 64).bfloat16(),
            torch.tensor([[0, token]]),
            torch.zeros(64, 16),
            torch.zeros(64),
            (zeros, zeros),
        )


def test_a_window_in_two_halves_equals_the_whole():
    inputs, weight_hh, bias, *state = random_problem(3, 8, 24)
    index = torch.arange(24).view(3, 8)

    whole, last = lstm_window(inputs, index, weight_hh, bias, tuple(state))
    first, between = lstm_window(inputs, index[:, :5], weight_hh, bias, tuple(state))
    second, last_of_halves = lstm_window(inputs, index[:, 5:], weight_hh, bias, between)

    assert torch.cat([first, second], dim=1).equal(whole)
    torch.testing.assert_close(last_of_halves, last)


@pytest.mark.parametrize("most", [0, 10**9], ids=["added", "multiplied"])
def test_steps_that_share_an_input_add_up_their_gradients(most, monkeypatch):
    monkeypatch.setattr(recurrence, "MAX_TAKEN", most)
    torch.manual_seed(0)
    gradients, index = torch.randn(9, 5).bfloat16(), torch.tensor([0, 3, 3, 1, 0, 0, 3, 1, 3])

    gathered = gather(gradients, index, 4)

    assert gathered.dtype == torch.bfloat16
    for number in range(4):
        expected = gradients[index == number].float().sum(0)
        torch.testing.assert_close(gathered[number].float(), expected, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("driven", [1e4, -1e4])
def test_gates_driven_far_stay_finite(driven):
    inputs = torch.full((2, 64), driven).bfloat16().requires_grad_()
    zeros = torch.zeros(1, 16)

    output, (_, cell) = lstm_window(
        inputs, torch.tensor([[0, 1]]), torch.zeros(64, 16), torch.zeros(64), (zeros, zeros)
    )
    (gradient,) = torch.autograd.grad(output.float().sum() + cell.sum(), inputs)

    assert output.isfinite().all() and cell.isfinite().all() and gradient.isfinite().all()
    torch.testing.assert_close(cell, torch.full((1, 16), 2.0 if driven > 0 else 0.0))


def test_a_loss_that_is_not_finite_is_not_hidden():
    inputs, weight_hh, bias, hidden, cell = random_problem(2, 3, 16)
    with torch.no_grad():
        hidden[0, 3] = float("nan")

    output, (_, last) = lstm_window(
        inputs, torch.arange(6).view(2, 3), weight_hh, bias, (hidden, cell)
    )

    assert output[0].isnan().all() and last[0].isnan().all()
    assert output[1].isfinite().all()


def test_a_layer_takes_it_under_autocast_alone():
    torch.manual_seed(0)
    layer = RecurrentLayer(make_cell("lstm", 6, 40))
    x, state = torch.randn(3, 5, 6), tuple(torch.randn(3, 40) / 2 for _ in range(2))

    exact, exact_last = layer(x, state)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.shares_inputs()
        quick, quick_last = layer(x, state)

    assert not layer.shares_inputs()
    assert exact.dtype == torch.float32 and quick.dtype == torch.bfloat16
    torch.testing.assert_close(quick.float(), exact, rtol=0.05, atol=0.02)
    torch.testing.assert_close(quick_last, exact_last, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("name", ["rnn", "rnn-relu", "gru"])
def test_other_cells_stay_with_torch(name):
    with torch.autocast("cpu", torch.bfloat16):
        assert not RecurrentLayer(make_cell(name, 6, 40)).shares_inputs()
        assert has_fast_recurrence(torch.zeros(1))
        assert not has_fast_recurrence(torch.zeros(1).double())


def test_a_lookup_is_the_inputs_it_stands_for():
    torch.manual_seed(0)
    layer = RecurrentLayer(make_cell("lstm", 6, 40))
    vectors = torch.randn(4, 6, requires_grad=True)
    lookup = Lookup(vectors, torch.randint(4, (3, 5)))
    state = layer.initial_state(3)

    with torch.autocast("cpu", torch.bfloat16):
        shared, plain = layer(lookup, state)[0], layer(lookup.dense(), state)[0]
        gradients = [
            torch.autograd.grad(o.float().square().sum(), [vectors, *layer.parameters()])
            for o in (shared, plain)
        ]

    assert shared.equal(plain)
    assert all(distance(a, b) < 0.02 for a, b in zip(*gradients, strict=True))
