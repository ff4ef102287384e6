"""Reading of saved training states, which are checked completely before a run resumes."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from charlm.checkpoint import check_tensor, check_tensors, load_state, model_weights
from charlm.errors import CheckpointError, ConfigError
from charlm.location import LEVEL_STATE
from charlm.location import STATE as LAST_STATE
from charlm.model import LanguageModel
from charlm.settings import build, fits, quote, reason, setting_names
from charlm.training.averaging import COUNT, VALIDATIONS, WEIGHTS
from charlm.training.common import last_common_step
from charlm.training.config import TrainingConfig
from charlm.training.optimizer import PREFIX, make_optimizer
from charlm.training.run import Progress
from charlm.untrusted import parse_json

MODEL, STATE, RANDOM = "model.", "state.", "random."
FINITE = (
    *("rate_scale", "best_nats", "earlier_nats"),
    *("seconds", "budget_seconds", "unreported_nats"),
)


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved training state with its settings and progress."""

    tensors: dict[str, Tensor]  # not checked yet: see `check_state`
    training: TrainingConfig
    progress: Progress
    arithmetic: Mapping[str, str | int]  # empty if an older charlm saved the state

    @property
    def is_finished(self) -> bool:
        """Return whether no steps are left."""
        return self.progress.is_finished(self.training.steps)


def load_saved(folder: Path, file: Path = LAST_STATE) -> Saved:
    """Return the last saved state of a run, or the state in `file`.

    Raises:
        CheckpointError: the file is missing or damaged, or another version of charlm saved it with
            settings that this version does not know.
    """
    tensors, text = load_state(folder, file)
    place = str(folder / file)
    kept = parse_state(text, place)
    kinds = {"training": TrainingConfig, "progress": Progress}
    unknown = [
        name
        for part, kind in kinds.items()
        for name in kept[part]
        if name not in setting_names(kind)
    ]
    if unknown:
        raise CheckpointError(
            f"the state in {folder} has {quote(', '.join(unknown))}, which this charlm does not "
            "know; resume with the charlm that trained it."
        )
    return Saved(tensors, *build_settings(kept, place), kept.get("arithmetic", {}))


def load_level_state(folder: Path, model: LanguageModel) -> Saved | None:
    """Return the state in level.safetensors, from which a longer run of a model can continue.

    Returns None if there is no such file, or if its step is not the last one that the run has in
    common with a longer run.

    Raises:
        CheckpointError: the file is damaged or does not fit the model.
    """
    path = folder / LEVEL_STATE
    if not os.path.lexists(path):
        return None
    try:
        saved = load_saved(folder, LEVEL_STATE)
        check_state(model, saved.training, saved.tensors, path)
    except CheckpointError as error:
        raise CheckpointError(
            f"{reason(error)}; or delete that file to go on from the last step."
        ) from error
    return saved if saved.progress.step == last_common_step(saved.training) else None


def parse_state(text: str, place: str) -> dict[str, Any]:
    """Return the parts of the JSON text that is saved with a training state.

    Raises:
        CheckpointError: the text is not valid JSON, or a part is missing or of the wrong type.
    """
    try:
        kept = parse_json(text)
    except ValueError as error:
        raise CheckpointError(f"{place} is damaged: {reason(error)}.") from error
    parts = ("training", "progress")
    if not isinstance(kept, dict) or not all(isinstance(kept.get(part), dict) for part in parts):
        raise CheckpointError(f"{place} is damaged: it lacks settings or progress.")
    if not fits(kept.get("arithmetic", {}), dict[str, str | int]):
        raise CheckpointError(f"{place} is damaged: its arithmetic is no table of texts.")
    return kept


def build_settings(kept: Mapping[str, Any], place: str) -> tuple[TrainingConfig, Progress]:
    """Return the settings and the progress in the result of `parse_state`.

    Raises:
        CheckpointError: a field is missing, has the wrong type or is out of range.
    """
    try:
        training = build(TrainingConfig, kept["training"])
        progress = build(Progress, kept["progress"])
        check_progress(progress)
    except ConfigError as error:
        raise CheckpointError(f"{place} is damaged: {reason(error)}.") from error
    return training, progress


def check_progress(progress: Progress) -> None:
    """Check that counts, times and losses are in the range of possible values.

    Raises:
        ConfigError: a value is negative or not finite.
    """
    for field in fields(progress):
        value = getattr(progress, field.name)
        if type(value) is int and value < 0:
            raise ConfigError(f"{field.name} must be 0 or more, not {value}.")
        if field.name in FINITE and value is not None and not math.isfinite(value):
            raise ConfigError(f"{field.name} must be finite, not {value}.")
    for name in ("rate_scale", "seconds", "budget_seconds", "unreported_seconds"):
        value = getattr(progress, name)
        if value is not None and not value >= 0:
            raise ConfigError(f"{name} must be 0 or more, not {value}.")


def check_state(
    model: LanguageModel, training: TrainingConfig, tensors: Mapping[str, Tensor], place: Path
) -> None:
    """Check that the tensors of a training state belong to a run of this model and are finite.

    Raises:
        CheckpointError: a tensor is missing or unexpected, has the wrong shape or type, or is not
            finite.
    """
    weights = {name: weight.shape for name, weight in model_weights(model).items()}
    parts = {
        prefix: {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        for prefix in (MODEL, WEIGHTS, PREFIX, STATE, RANDOM)
    }
    known = {p + name for p, own in parts.items() for name in own} | {COUNT, VALIDATIONS}
    if unknown := sorted(tensors.keys() - known):
        raise CheckpointError(
            f"{place} does not fit the model: it has {quote(unknown[0])}, which the model does not."
        )
    check_tensors(parts[MODEL], weights, str(place))
    if parts[WEIGHTS]:
        check_tensors(parts[WEIGHTS], weights, str(place))
    check_average(tensors, bool(parts[WEIGHTS]), str(place))
    check_optimizer(model, training, parts[PREFIX], str(place))
    if parts[STATE]:
        check_hidden(model, training.batch_size, parts[STATE], str(place))
    check_random(model.device, parts[RANDOM], str(place))


def check_average(tensors: Mapping[str, Tensor], has_begun: bool, place: str) -> None:
    """Check that the counts of averaging match the averaged weights.

    Raises:
        CheckpointError: they do not.
    """
    if COUNT in tensors:
        check_tensor(COUNT, tensors[COUNT], (), place, torch.int64)
    if has_begun != (COUNT in tensors and int(tensors[COUNT]) > 0):
        raise CheckpointError(f"{place} is damaged: {COUNT} does not fit the averaged weights.")
    if VALIDATIONS in tensors:
        nats = tensors[VALIDATIONS]
        if nats.dtype != torch.float64 or nats.ndim != 1 or bool(nats.isnan().any()):
            raise CheckpointError(f"{place} is damaged: {VALIDATIONS} must be a list of numbers.")


def check_optimizer(
    model: LanguageModel, training: TrainingConfig, tensors: Mapping[str, Tensor], place: str
) -> None:
    """Check that the optimizer's state fits the weights; a fused kernel would read past its end.

    A weight that never had a gradient has no state.

    Raises:
        CheckpointError: a tensor is missing or has the wrong shape.
    """
    expected = make_optimizer(model, training).shapes()
    begun = {name.split(".")[0] for name in tensors}
    shapes = {
        PREFIX + name: shape for name, shape in expected.items() if name.split(".")[0] in begun
    }
    check_tensors({PREFIX + name: tensor for name, tensor in tensors.items()}, shapes, place)


def check_hidden(
    model: LanguageModel, batch_size: int, tensors: Mapping[str, Tensor], place: str
) -> None:
    """Check that the hidden state has the shapes of the model with `batch_size` streams.

    Raises:
        CheckpointError: a tensor is missing or has the wrong shape or type.
    """
    code = None
    if model.config.label is not None:
        code = model.head.projection.weight.new_zeros(1, model.config.num_labels)
    expected = {
        f"{STATE}{i}.{j}": (batch_size, *part.shape[1:])
        for i, layer in enumerate(model.body.initial_state(1, code))
        for j, part in enumerate(layer)
    }
    kinds = {torch.float32, torch.bfloat16, torch.float16}
    found = {STATE + name: tensor for name, tensor in tensors.items()}
    for name, tensor in found.items():
        if tensor.dtype not in kinds:
            raise CheckpointError(f"{place} does not fit the model: {quote(name)} is no fraction.")
    check_tensors({name: tensor.float() for name, tensor in found.items()}, expected, place)


def check_random(device: torch.device, tensors: Mapping[str, Tensor], place: str) -> None:
    """Check that the states of the random number generators are accepted by torch.

    States of a device other than `device` are not checked, because they are not loaded.

    Raises:
        CheckpointError: a state is missing, unexpected or invalid.
    """
    if "cpu" not in tensors:
        raise CheckpointError(f"{place} is damaged: {RANDOM}cpu is missing.")
    if unknown := sorted(tensors.keys() - {"cpu", "cuda", "mps"}):
        raise CheckpointError(f"{place} is damaged: nobody reads its {quote(RANDOM + unknown[0])}.")
    for kind, tensor in tensors.items():
        name = RANDOM + kind
        if kind in ("cpu", device.type):
            check_tensor(name, tensor, tuple(random_state(kind, device).shape), place, torch.uint8)
    try:
        torch.Generator().set_state(tensors["cpu"])
    except RuntimeError as error:
        raise CheckpointError(f"{place} is damaged: {RANDOM}cpu: {reason(error)}.") from error


def random_state(kind: str, device: torch.device) -> Tensor:
    """Return the current state of a device's random number generator: (num_bytes,), uint8."""
    if kind == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if kind == "mps" else torch.get_rng_state()
