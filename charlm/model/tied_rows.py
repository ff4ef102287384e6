"""Rows of a matrix that also gets a dense gradient, such as a tied embedding."""

import torch
from torch import Tensor
from torch.nn.functional import embedding


def take_rows(weight: Tensor, index: Tensor) -> Tensor:
    """Return rows of a leaf, (len(index), size); `backward` adds their gradients to `weight.grad`.

    autograd would create a gradient of the whole matrix's size for a few rows, in addition to the
    softmax's: 100 MB more at the peak of a step for 50,000 words of 512 units.
    `torch.autograd.grad` does not return the gradients added here.

    Args:
        weight: (any, size), a leaf.
        index: (any,), int64; a repeated row gets the sum of its gradients.
    """
    if not (torch.is_grad_enabled() and weight.requires_grad):
        return embedding(index, weight)
    rows = embedding(index, weight.detach()).requires_grad_()

    def add(rows: Tensor) -> None:
        assert rows.grad is not None
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        weight.grad.index_add_(0, index, rows.grad)
        rows.grad = None

    rows.register_post_accumulate_grad_hook(add)
    return rows
