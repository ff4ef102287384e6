"""Tensors of a file compared with what is expected of them: names, shapes, types, finite values."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from charlm.errors import CheckpointError
from charlm.settings import quote


def check_tensors(
    tensors: Mapping[str, Tensor],
    expected: Mapping[str, Sequence[int]],
    place: str,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Have tensors be those that are expected, and finite.

    Args:
        tensors: as read.
        expected: shapes by name.
        place: the file, as messages call it.
        dtype: of all of them.

    Raises:
        CheckpointError: a tensor is missing or too much, has another shape or type, or holds NaN
            or infinity; the message names it.
    """
    if missing := expected.keys() - tensors.keys():
        raise CheckpointError(f"{place} does not fit the model: {name_of(missing)} is missing.")
    if extra := tensors.keys() - expected.keys():
        raise CheckpointError(
            f"{place} does not fit the model: it has {name_of(extra)}, which the model does not."
        )
    for name, shape in expected.items():
        check_tensor(name, tensors[name], shape, place, dtype)


def check_tensor(
    name: str,
    tensor: Tensor,
    shape: Sequence[int],
    place: str,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Have a tensor be of a shape and a type, and finite; else as `check_tensors`."""
    if tuple(tensor.shape) != tuple(shape):
        raise CheckpointError(
            f"{place} does not fit the model: {quote(name)} has shape "
            f"{quote(str(tuple(tensor.shape)))}, not {tuple(shape)}."
        )
    if tensor.dtype != dtype:
        raise CheckpointError(
            f"{place} does not fit the model: {quote(name)} is of {type_name(tensor.dtype)}, not "
            f"{type_name(dtype)}."
        )
    check_finite(name, tensor, place)


def check_finite(name: str, tensor: Tensor, place: str) -> None:
    """Have a tensor hold numbers: anything that is computed with NaN is NaN.

    Raises:
        CheckpointError: it holds NaN or infinity.
    """
    if not tensor.is_floating_point() or not tensor.numel():
        return
    least, most = tensor.aminmax()  # NaN if any is; unlike isfinite() it needs no memory
    if not (least.isfinite() and most.isfinite()):
        raise CheckpointError(
            f"{place} is damaged: {quote(name)} holds NaN or infinity; restore the original."
        )


def name_of(names: set[str]) -> str:
    """Return one of the names, the same each time."""
    return quote(min(names))


def type_name(dtype: torch.dtype) -> str:
    """Return `float32` of torch.float32."""
    return str(dtype).removeprefix("torch.")
