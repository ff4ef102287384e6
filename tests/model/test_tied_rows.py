"""Gradients of single rows go where the whole matrix's gradient goes, and are those of autograd."""

import pytest
import torch

from charlm.model.tied_rows import take_rows

INDEX = torch.tensor([3, 0, 3, 5])


def gradient(take, steps=1):
    """Of a matrix that is used for its rows and as a whole, as tied embeddings are."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(7, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    for _ in range(steps):
        rows = take(weight, INDEX)
        (rows.sin() @ weight.T).exp().sum().backward()
    return weight.grad


@pytest.mark.parametrize("steps", [1, 3])
def test_the_gradient_is_the_one_that_autograd_finds(steps):
    expected = gradient(lambda weight, index: weight[index], steps)

    torch.testing.assert_close(gradient(take_rows, steps), expected)


def test_rows_alone_give_their_matrix_a_gradient_too():
    weight = torch.ones(7, 4, requires_grad=True)

    (2 * take_rows(weight, INDEX)).sum().backward()

    assert weight.grad[:, 0].tolist() == [2, 0, 0, 4, 0, 2, 0]


def test_without_gradients_the_rows_are_plain():
    weight = torch.ones(7, 4, requires_grad=True)

    with torch.no_grad():
        assert not take_rows(weight, INDEX).requires_grad
    assert not take_rows(weight.detach(), INDEX).requires_grad
