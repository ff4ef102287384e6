"""The LSTM against its equations, written again, and against torch's cell."""

import numpy as np
import torch
from torch import nn

from charlm.cells.lstm import LSTMCell


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def naive_step(x, h, c, w, u, b, d):
    """One row, gate by gate; the four gates lie one below the other in the weights."""
    size = len(h)
    at_gate = [slice(k * size, (k + 1) * size) for k in range(4)]
    i, f, g, o = (w[rows] @ x + b[rows] + u[rows] @ h + d[rows] for rows in at_gate)
    c_after = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c_after), c_after


def test_a_step_equals_the_equations():
    torch.manual_seed(0)
    lstm = LSTMCell(3, 5).double()
    x, h, c = torch.randn(4, 3).double(), torch.randn(4, 5).double(), torch.randn(4, 5).double()
    weights = [p.detach().numpy() for p in lstm.parameters()]

    output, (hidden, cell) = lstm(x, (h, c))

    rows = zip(x.numpy(), h.numpy(), c.numpy(), strict=True)
    expected_hidden, expected_cell = zip(*(naive_step(*r, *weights) for r in rows), strict=True)
    np.testing.assert_allclose(output.detach(), expected_hidden, rtol=1e-12)
    np.testing.assert_allclose(hidden.detach(), expected_hidden, rtol=1e-12)
    np.testing.assert_allclose(cell.detach(), expected_cell, rtol=1e-12)


def test_a_step_equals_torch():
    torch.manual_seed(0)
    lstm = LSTMCell(3, 5).double()
    reference = nn.LSTMCell(3, 5).double()
    reference.load_state_dict(lstm.state_dict())
    x, h, c = torch.randn(4, 3).double(), torch.randn(4, 5).double(), torch.randn(4, 5).double()

    _, state = lstm(x, (h, c))

    torch.testing.assert_close(state, reference(x, (h, c)))


def test_a_forget_gate_wide_open_and_an_input_gate_shut_keep_the_cell():
    lstm = LSTMCell(1, 2)
    for parameter in lstm.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        lstm.bias_ih[:4] = torch.tensor([-100.0, -100.0, 100.0, 100.0])  # i, then f
    cell_before = torch.tensor([[0.25, -3.0]])

    _, (_, cell) = lstm(torch.ones(1, 1), (torch.ones(1, 2), cell_before))

    assert cell.equal(cell_before)
