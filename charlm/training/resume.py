"""A run goes on: where it stopped, or with its other half."""

from dataclasses import replace
from pathlib import Path

import torch

from charlm.checkpoint import (
    create_checkpoint,
    load_checkpoint,
    load_state,
    read_metrics,
    remove_checkpoint,
    save_frequencies,
)
from charlm.data import count_ids
from charlm.errors import CheckpointError
from charlm.location import BACKWARD, RECIPE, STATE, command_line
from charlm.settings import quote, setting_names
from charlm.training.arithmetic import arithmetic_notes, describe_arithmetic
from charlm.training.config import TrainingConfig
from charlm.training.precision import fit_resumed
from charlm.training.prepare import Prepared, assemble, begin_with_lengths, new_model
from charlm.training.pretrained import find_vectors
from charlm.training.recipe import Recipe
from charlm.training.run import Progress
from charlm.training.saved_state import build_settings, check_state, parse_state
from charlm.training.texts import find_part


def resume_run(folder: Path, device: torch.device) -> Prepared:
    """Take up a run where it was saved last; what follows is what would have followed.

    In both directions the backward half comes after the forward one.

    Raises:
        CheckpointError: it is finished, its state is gone or damaged, or its corpus has changed.
    """
    checkpoint = load_checkpoint(folder, device)
    config, tokenizer = checkpoint.config, checkpoint.tokenizer
    tensors, settled = load_state(folder)
    kept = parse_state(settled, str(folder / STATE))
    training, progress = read_settled(folder, settled)
    if progress.is_finished(training.steps) and config.corpus.direction == "both":
        return resume_backward(folder, device)
    if progress.is_finished(training.steps):
        raise finished(folder, progress.step, training.steps)
    check_state(checkpoint.model, training, tensors, folder / STATE)
    training, notes = fit_resumed(training, config.model.cell, device)
    notes += arithmetic_notes(kept.get("arithmetic", {}), describe_arithmetic(device))
    train, valid = find_part(checkpoint, "train"), find_part(checkpoint, "valid")
    run = assemble(folder, config, tokenizer, checkpoint.model, training, train, valid)
    run.restore(tensors, progress)
    return Prepared(run, tokenizer, None, notes)


def resume_backward(folder: Path, device: torch.device) -> Prepared:
    """Take up the backward half of a run in both directions, or begin it; errors as `resume_run`'s.

    One that was made but never trained, since the run was killed at that moment, is made again.
    """
    backward = folder / BACKWARD
    if backward.exists() and not (backward / STATE).exists() and not read_metrics(backward):
        remove_checkpoint(backward)
    if not backward.exists():
        return create_backward(folder, device)
    training, progress = read_settled(backward, load_state(backward)[1])
    if progress.is_finished(training.steps):
        raise finished(folder, progress.step, training.steps)
    return resume_run(backward, device)


def finished(folder: Path, step: int, steps: int) -> CheckpointError:
    """The error for a run that has no step left to take."""
    return CheckpointError(
        f"{folder} is finished, at step {step:,} of {steps:,}; to train longer, start anew with "
        f"`{command_line('train', '--recipe', folder / RECIPE)}` and more --steps."
    )


def read_settled(folder: Path, text: str) -> tuple[TrainingConfig, Progress]:
    """The settings and the progress of a saved run.

    Raises:
        CheckpointError: they are damaged, or another version of charlm saved them, which knew other
            settings.
    """
    place = str(folder / STATE)
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
    return build_settings(kept, place)


def create_backward(folder: Path, device: torch.device) -> Prepared:
    """The backward half of a run in both directions, whose forward half is done.

    It is a checkpoint within the checkpoint, over the same vocabulary, of the same shape, trained
    in the same way for as many steps.

    Raises:
        CheckpointError: the forward half is not done, or its state or its corpus is gone.
        StorageError: the folder cannot be written.
    """
    forward = load_checkpoint(folder, device)
    training, progress = read_settled(folder, load_state(folder)[1])
    assert forward.config.corpus.direction == "both" and progress.is_finished(training.steps)
    config, tokenizer = forward.config, forward.tokenizer
    config = replace(config, corpus=replace(config.corpus, direction="backward"))
    training, notes = fit_resumed(training, config.model.cell, device)
    vectors = find_vectors({"embeddings": training.embeddings}, tokenizer)
    model = new_model(config.model, training, vectors)
    half = replace(forward, config=config)
    train, valid = find_part(half, "train"), find_part(half, "valid")
    begin_with_lengths(model, train, tokenizer.start_id)
    recipe = Recipe(config.corpus, config.text, config.model, training)
    save_frequencies(folder, count_ids(train, tokenizer.vocab_size))
    create_checkpoint(folder / BACKWARD, config, tokenizer, model, recipe.to_toml())
    run = assemble(folder / BACKWARD, config, tokenizer, model.to(device), training, train, valid)
    note = f"now the backward half, in {run.folder}: {training.steps:,} steps as before."
    return Prepared(run, tokenizer, None, (*notes, note))
