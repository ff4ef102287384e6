"""Checks of tensors read from a file: names, shapes, types and finite values."""

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
    """Check that tensors have the expected names, shapes and type, and are finite.

    Args:
        tensors: tensors by name, as read from the file.
        expected: expected shapes by name.
        place: name of the file, for messages.
        dtype: expected type of all tensors.

    Raises:
        CheckpointError: a tensor is missing or unexpected, has another shape or type, or contains
            NaN or infinity. The message names the tensor.
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
    """Check that a tensor has the expected shape and type, and is finite.

    Raises:
        CheckpointError: the tensor has another shape or type, or contains NaN or infinity.
    """
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
    """Check that a tensor is finite, because NaN spreads to everything computed from it.

    Raises:
        CheckpointError: the tensor contains NaN or infinity.
    """
    if not tensor.is_floating_point() or not tensor.numel():
        return
    least, most = tensor.aminmax()  # both NaN if any value is; unlike isfinite(), needs no memory
    if not (least.isfinite() and most.isfinite()):
        raise CheckpointError(
            f"{place} is damaged: {quote(name)} holds NaN or infinity; restore the original."
        )


def name_of(names: set[str]) -> str:
    """Return the first of the names in sorted order, shortened for a message."""
    return quote(min(names))


def type_name(dtype: torch.dtype) -> str:
    """Return the name of a type without "torch.", such as `float32`."""
    return str(dtype).removeprefix("torch.")
