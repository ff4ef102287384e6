"""The GRU against its equations, written again, and against torch's cell."""

import numpy as np
import torch
from torch import nn

from charlm.cells.gru import GRUCell


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def naive_step(x, h, w, u, b, c):
    """One row, gate by gate; the three gates lie one below the other in the weights."""
    size = len(h)
    w_r, w_z, w_n = w[:size], w[size : 2 * size], w[2 * size :]
    u_r, u_z, u_n = u[:size], u[size : 2 * size], u[2 * size :]
    b_r, b_z, b_n = b[:size], b[size : 2 * size], b[2 * size :]
    c_r, c_z, c_n = c[:size], c[size : 2 * size], c[2 * size :]
    r = sigmoid(w_r @ x + b_r + u_r @ h + c_r)
    z = sigmoid(w_z @ x + b_z + u_z @ h + c_z)
    n = np.tanh(w_n @ x + b_n + r * (u_n @ h + c_n))
    return (1 - z) * n + z * h


def test_a_step_equals_the_equations():
    torch.manual_seed(0)
    gru = GRUCell(3, 5).double()
    x, h = torch.randn(4, 3).double(), torch.randn(4, 5).double()
    weights = [p.detach().numpy() for p in gru.parameters()]

    output, (hidden,) = gru(x, (h,))

    rows = zip(x.numpy(), h.numpy(), strict=True)
    expected = [naive_step(*row, *weights) for row in rows]
    np.testing.assert_allclose(output.detach(), expected, rtol=1e-12)
    np.testing.assert_allclose(hidden.detach(), expected, rtol=1e-12)


def test_a_step_equals_torch():
    torch.manual_seed(0)
    gru = GRUCell(3, 5).double()
    reference = nn.GRUCell(3, 5).double()
    reference.load_state_dict(gru.state_dict())
    x, h = torch.randn(4, 3).double(), torch.randn(4, 5).double()

    output, _ = gru(x, (h,))

    torch.testing.assert_close(output, reference(x, h))


def test_an_update_gate_wide_open_keeps_the_state():
    gru = GRUCell(1, 2)
    for parameter in gru.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        gru.bias_ih[2:4] = 100.0  # z
    before = torch.tensor([[0.25, -3.0]])

    output, _ = gru(torch.ones(1, 1), (before,))

    assert output.equal(before)
