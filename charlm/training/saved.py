"""What a run has saved of itself, read back and checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from charlm.checkpoint import load_state
from charlm.errors import CheckpointError
from charlm.location import LEVEL_STATE, STATE
from charlm.settings import setting_names
from charlm.training.config import TrainingConfig
from charlm.training.run import Progress


@dataclass(frozen=True, slots=True)
class Saved:
    """A training state and what belongs to it."""

    tensors: dict[str, Tensor]
    training: TrainingConfig
    progress: Progress
    arithmetic: Mapping[str, str | int]  # empty: an older charlm saved it

    @property
    def is_finished(self) -> bool:
        """Whether no step is left to take."""
        return self.progress.is_finished(self.training.steps)


def load_saved(folder: Path, file: Path = STATE) -> Saved:
    """Read the state that a run saved last, or another one.

    Raises:
        CheckpointError: it is gone or damaged, or another version of charlm saved it.
    """
    tensors, settled = load_state(folder, file)
    kept = json.loads(settled)
    training, progress = read_settled(folder, kept)
    return Saved(tensors, training, progress, kept.get("arithmetic", {}))


def load_level_state(folder: Path) -> Saved | None:
    """Read the state from which a longer run can go on; None: none is kept, or it is damaged."""
    try:
        return load_saved(folder, LEVEL_STATE)
    except CheckpointError:
        return None


def read_settled(folder: Path, kept: Mapping[str, Any]) -> tuple[TrainingConfig, Progress]:
    """The settings and the progress of a saved run.

    Raises:
        CheckpointError: another version of charlm saved it, which knew other settings.
    """
    kinds = {"training": TrainingConfig, "progress": Progress}
    unknown = [
        name
        for part, kind in kinds.items()
        for name in kept[part]
        if name not in setting_names(kind)
    ]
    if unknown:
        raise CheckpointError(
            f"the state in {folder} has {', '.join(unknown)}, which this charlm does not know; "
            "resume with the charlm that trained it."
        )
    return TrainingConfig(**kept["training"]), Progress(**kept["progress"])
