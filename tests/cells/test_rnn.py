"""The Elman network against its equation, written again, and against torch's cell."""

import numpy as np
import pytest
import torch
from torch import nn

from charlm.cells.rnn import ReluCell, TanhCell

KINDS = [(TanhCell, "tanh", np.tanh), (ReluCell, "relu", lambda a: np.maximum(a, 0))]


@pytest.mark.parametrize(("kind", "name", "activation"), KINDS)
def test_a_step_equals_the_equation(kind, name, activation):
    torch.manual_seed(0)
    cell = kind(3, 5).double()
    x, h = torch.randn(4, 3).double(), torch.randn(4, 5).double()
    w, u, b, c = (p.detach().numpy() for p in cell.parameters())

    output, (hidden,) = cell(x, (h,))

    expected = [
        activation(w @ x_row + b + u @ h_row + c)
        for x_row, h_row in zip(x.numpy(), h.numpy(), strict=True)
    ]
    np.testing.assert_allclose(output.detach(), expected, rtol=1e-12)
    np.testing.assert_allclose(hidden.detach(), expected, rtol=1e-12)


@pytest.mark.parametrize(("kind", "name", "activation"), KINDS)
def test_a_step_equals_torch(kind, name, activation):
    torch.manual_seed(0)
    cell = kind(3, 5).double()
    reference = nn.RNNCell(3, 5, nonlinearity=name).double()
    reference.load_state_dict(cell.state_dict())
    x, h = torch.randn(4, 3).double(), torch.randn(4, 5).double()

    output, _ = cell(x, (h,))

    torch.testing.assert_close(output, reference(x, h))
