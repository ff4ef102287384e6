"""The precision that a run can be trained in on a device."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from charlm.cells import CellName, trains_in_bfloat16
from charlm.device import bfloat16_support
from charlm.errors import ConfigError
from charlm.training.config import TrainingConfig


def can_use_bfloat16(cell: CellName, device: torch.device) -> bool:
    """Return whether a network of the cell can be trained in bfloat16 without emulation."""
    return bfloat16_support(device) is not False and trains_in_bfloat16(cell, device)


def gains_from_bfloat16(cell: CellName, device: torch.device) -> bool:
    """Return whether bfloat16 is known to be faster than float32 on the device."""
    return bfloat16_support(device) is True and trains_in_bfloat16(cell, device)


def check_precision(given: Mapping[str, Any], device: torch.device) -> None:
    """Check that the device can train in the given precision, if one is given.

    Raises:
        ConfigError: bfloat16 is given, and the device does not support it.
    """
    if asks_for_missing_bfloat16(given, device):
        raise ConfigError(
            f"--precision bfloat16 cannot be used: {reason(device)}; use --precision float32, or "
            "leave it out."
        )


def fit_recipe(
    given: Mapping[str, Any], device: torch.device
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a recipe's settings in a precision the device supports, and a note if it changed."""
    if not asks_for_missing_bfloat16(given, device):
        return dict(given), ()
    note = (
        f"the recipe asks for bfloat16, but {reason(device)}: training in float32, which is as "
        "accurate and takes several times as long a step."
    )
    return {**given, "precision": "float32"}, (note,)


def fit_resumed(
    training: TrainingConfig, cell: CellName, device: torch.device
) -> tuple[TrainingConfig, tuple[str, ...]]:
    """Return the settings to resume a run with on the device, and a note if they changed."""
    if training.precision != "bfloat16" or can_use_bfloat16(cell, device):
        return training, ()
    note = (
        f"this run was begun in bfloat16, but {reason(device)}: it goes on in float32, and is no "
        "longer bit for bit what it would have been."
    )
    return replace(training, precision="float32"), (note,)


def asks_for_missing_bfloat16(given: Mapping[str, Any], device: torch.device) -> bool:
    """Return whether bfloat16 is given and the device cannot train the given cell in it."""
    cell = given.get("cell", "lstm")
    return given.get("precision") == "bfloat16" and not can_use_bfloat16(cell, device)


def reason(device: torch.device) -> str:
    """Return why bfloat16 cannot be used, as a clause."""
    if device.type == "cpu":
        return "this processor does not multiply in bfloat16 (it takes AVX-512 BF16 or AMX)"
    return f"this {device.type} device does not train in bfloat16"
