"""Each cell against its paper's equations, written again in NumPy for one text and one step."""

import numpy as np
import pytest
import torch

from charlm.cells import CELLS, JordanCell

INPUTS, UNITS = 3, 5


def logistic(a):
    return 1 / (1 + np.exp(-a))


def softmax(a):
    return np.exp(a - a.max()) / np.exp(a - a.max()).sum()


def gate(weights, number, x, h):
    """W x + b + U h + c of one gate."""
    rows = slice(number * UNITS, (number + 1) * UNITS)
    parts = weights["weight_ih"] @ x, weights["weight_hh"] @ h
    biases = weights["bias_ih"], weights["bias_hh"]
    return sum(part[rows] for part in (*parts, *biases))


def elman(activation):
    def step(w, x, h):
        new = activation(gate(w, 0, x, h))
        return new, (new,)

    return step


def jordan(w, x, h, output):
    said = softmax(output(h))
    new = np.tanh(w["weight_ih"] @ x + w["bias_ih"] + w["weight_hh"] @ said + w["bias_hh"])
    return new, (new,)


def elman_jordan(w, x, h, output):
    new = np.tanh(gate(w, 0, x, h) + w["weight_oh"] @ softmax(output(h)))
    return new, (new,)


def leaky(w, x, h):
    new = 0.7 * h + 0.3 * np.tanh(gate(w, 0, x, h))
    return new, (new,)


def leaky_learned(w, x, h):
    a = logistic(w["leak_logit"])
    new = (1 - a) * h + a * np.tanh(gate(w, 0, x, h))
    return new, (new,)


def lstm(w, x, h, c):
    i, f, o = (logistic(gate(w, number, x, h)) for number in (0, 1, 3))
    c = f * c + i * np.tanh(gate(w, 2, x, h))
    return o * np.tanh(c), (o * np.tanh(c), c)


def lstm_1997(w, x, h, c):
    i, o = (logistic(gate(w, number, x, h)) for number in (0, 2))
    c = c + i * np.tanh(gate(w, 1, x, h))
    return o * np.tanh(c), (o * np.tanh(c), c)


def lstm_coupled(w, x, h, c):
    f, o = (logistic(gate(w, number, x, h)) for number in (0, 2))
    c = f * c + (1 - f) * np.tanh(gate(w, 1, x, h))
    return o * np.tanh(c), (o * np.tanh(c), c)


def lstm_peephole(w, x, h, c):
    w_ci, w_cf, w_co = w["weight_ch"]
    i = logistic(gate(w, 0, x, h) + w_ci * c)
    f = logistic(gate(w, 1, x, h) + w_cf * c)
    c = f * c + i * np.tanh(gate(w, 2, x, h))
    o = logistic(gate(w, 3, x, h) + w_co * c)
    return o * np.tanh(c), (o * np.tanh(c), c)


def gru(w, x, h):
    r, z = (logistic(gate(w, number, x, h)) for number in (0, 1))
    rows = slice(2 * UNITS, None)
    from_x = (w["weight_ih"] @ x + w["bias_ih"])[rows]
    n = np.tanh(from_x + r * (w["weight_hh"] @ h + w["bias_hh"])[rows])
    return (1 - z) * n + z * h, ((1 - z) * n + z * h,)


def gru_2014(w, x, h):
    r, z = (logistic(gate(w, number, x, h)) for number in (0, 1))
    n = np.tanh(gate(w, 2, x, r * h))
    return (1 - z) * n + z * h, ((1 - z) * n + z * h,)


EQUATIONS = {
    "rnn": elman(np.tanh),
    "rnn-relu": elman(lambda a: np.maximum(a, 0)),
    "rnn-sigmoid": elman(logistic),
    "jordan": jordan,
    "elman-jordan": elman_jordan,
    "leaky": leaky,
    "leaky-learned": leaky_learned,
    "lstm": lstm,
    "lstm-1997": lstm_1997,
    "lstm-coupled": lstm_coupled,
    "lstm-peephole": lstm_peephole,
    "gru": gru,
    "gru-2014": gru_2014,
}


@pytest.mark.parametrize("name", CELLS)
def test_a_step_is_the_papers(name, new_cell):
    torch.manual_seed(0)
    cell = new_cell(name, INPUTS, UNITS).double()
    weights = {k: 2 * torch.randn_like(p) for k, p in cell.named_parameters()}
    cell.load_state_dict(weights)
    x = torch.randn(4, INPUTS).double()
    state = tuple(torch.randn(4, UNITS).double() for _ in range(cell.num_states))

    with torch.no_grad():
        output, after = cell(x, state)

    numbers = {k: w.numpy() for k, w in weights.items()}
    more = {}
    if isinstance(cell, JordanCell):
        more["output"] = lambda h: cell._projection[0](torch.from_numpy(h)).numpy()
    for row in range(4):
        parts = (part[row].numpy() for part in state)
        expected, expected_after = EQUATIONS[name](numbers, x[row].numpy(), *parts, **more)
        np.testing.assert_allclose(output[row], expected, rtol=1e-10, atol=1e-12)
        for ours, theirs in zip(after, expected_after, strict=True):
            np.testing.assert_allclose(ours[row], theirs, rtol=1e-10, atol=1e-12)


def test_a_leak_of_one_leaves_the_elman_network(new_cell):
    torch.manual_seed(0)
    leaky, rnn = new_cell("leaky", 3, 5), new_cell("rnn", 3, 5)
    rnn.load_state_dict(leaky.state_dict())
    leaky.fixed_leak = 1.0
    x, state = torch.randn(4, 3), (torch.randn(4, 5),)

    torch.testing.assert_close(leaky(x, state), rnn(x, state))


def test_learnt_leaks_begin_with_time_constants_from_one_step_to_fifty(new_cell):
    constants = 1 / new_cell("leaky-learned", 3, 100).leak

    assert 1 < constants.min() < 1.3
    assert constants.max().item() == pytest.approx(50, rel=1e-4)
    ratios = constants[1:] / constants[:-1]
    torch.testing.assert_close(ratios, ratios[:1].expand(99), rtol=1e-3, atol=0)


def test_nothing_but_the_output_feeds_back_in_a_jordan_network(new_cell):
    torch.manual_seed(0)
    cell = new_cell("jordan", 3, 5)
    cell.listen(lambda hidden: torch.zeros(len(hidden), 6))  # whatever it knew, it said the same

    x = torch.randn(2, 3)
    one, _ = cell(x, (torch.randn(2, 5),))
    other, _ = cell(x, (torch.randn(2, 5),))

    assert one.equal(other)


def test_the_output_layer_is_no_part_of_a_jordan_cell(new_cell):
    cell = new_cell("jordan", 3, 5)
    cell.listen(torch.nn.Linear(5, 6))

    assert set(dict(cell.named_parameters())) == {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}
