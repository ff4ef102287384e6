"""Resumption of a run: where it stopped, with a greater length, or with its backward half."""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from charlm.checkpoint import (
    append_metrics,
    forget_metrics_after,
    has_reports,
    load_checkpoint,
    read_config,
    read_metrics,
    refuse_linked_folders,
    remove_checkpoint,
    save_frequencies,
)
from charlm.data import TokenFile, count_ids, expand_folders
from charlm.errors import CharlmError, CheckpointError, TextError
from charlm.location import (
    BACKWARD,
    CHECKPOINTS,
    CONFIG,
    LEVEL_STATE,
    RECIPE,
    STATE,
    command_line,
    list_checkpoints,
)
from charlm.storage import FolderLock
from charlm.text import Tokenizer
from charlm.training.arithmetic import arithmetic_notes, describe_arithmetic
from charlm.training.extension import Extension, RunSize, extend, is_independent, stopped_early
from charlm.training.precision import fit_resumed
from charlm.training.prepare import (
    Prepared,
    assemble,
    begin_with_lengths,
    create_folder,
    new_model,
)
from charlm.training.pretrained import find_vectors
from charlm.training.recipe import Length
from charlm.training.rules import Facts
from charlm.training.run import Progress, TrainingRun
from charlm.training.saved_state import Saved, check_state, load_level_state, load_saved
from charlm.training.texts import find_part


def resume_run(folder: Path, device: torch.device, length: Length | None = None) -> Prepared:
    """Resume a run where it was last saved; it continues as if it had never stopped.

    In a run in both directions, the backward half follows the forward half. The folder is locked
    before anything is read, and until the run's `events` end.

    Args:
        folder: of the run.
        device: for training.
        length: of the whole run, to extend it beyond its planned length (see extension.py).

    Raises:
        CheckpointError: the run is finished, its state is missing or damaged, or its corpus has
            changed.
        TextError: the corpus and its cached tokens are missing.
        ConfigError: `length` would not make the run longer.
        StorageError: another process is training the run.
    """
    return locked(folder, lambda: take_up(folder, device, length))


def resume_backward(folder: Path, device: torch.device) -> Prepared | None:
    """Resume the backward half of a run whose forward half is done, or begin it.

    A backward half that is shorter than the forward half is extended to the same length.

    Returns:
        None if the backward half is done.

    Raises:
        CheckpointError: the state of a half is missing or damaged, or the corpus has changed.
        TextError: the corpus and its cached tokens are missing.
        StorageError: the folder cannot be written, or another process is training the run.
    """
    if is_backward_done(folder):
        return None
    return locked(folder, lambda: take_up_backward(folder, device))


def create_backward(folder: Path, device: torch.device) -> Prepared:
    """Begin the backward half of a run in both directions whose forward half is done.

    Raises:
        CheckpointError: the state of the forward half is missing or damaged, or its corpus has
            changed.
        TextError: the corpus and its cached tokens are missing.
        StorageError: the folder cannot be written, or another process is training the run.
    """
    return locked(folder, lambda: begin_backward(folder, device))


def find_run(texts: list[str]) -> Path:
    """Return the folder of the newest run in checkpoints/ that was trained on these texts.

    Raises:
        CheckpointError: there is no such run.
    """
    for folder in list_checkpoints():
        try:
            config = read_config(folder / CONFIG)
        except CharlmError:  # a damaged run must not hide the others
            continue
        if same_texts(texts, config.corpus.paths):
            return folder
    raise CheckpointError(
        f"there is no run on {', '.join(texts)} in {CHECKPOINTS}/; name the folder of the run with "
        "-o, or start one without --resume."
    )


def same_texts(some: list[str], others: tuple[str, ...]) -> bool:
    """Return whether two lists name the same texts, regardless of how their paths are written.

    A folder in the first list stands for the text files in it; a folder of labelled texts stands
    for itself.
    """
    recorded = [resolve_text(name) for name in others]
    if [resolve_text(name) for name in some] == recorded:
        return True
    with suppress(TextError):  # a folder without text files
        return [resolve_text(name) for name in expand_folders(some).paths] == recorded
    return False


def resolve_text(name: str) -> str | Path:
    """Return the absolute path of a text, or the name itself for standard input and URLs."""
    if name == "-" or "://" in name:
        return name
    with suppress(ValueError):  # a config.json may hold a name that no file can have
        return Path(os.path.realpath(name))  # unlike Path.resolve, it accepts a loop of links
    return name


def locked(folder: Path, prepare: Callable[[], Prepared]) -> Prepared:
    """Prepare a run while its folder is locked, and pass the lock on to the run."""
    lock = FolderLock(folder)
    try:
        refuse_linked_folders(folder)
        refuse_linked_folders(folder / BACKWARD)
        prepared = prepare()
    except BaseException:
        lock.release()
        raise
    run = prepared.run
    if run.folder != folder and not run.locks:  # a backward half that was just created
        run.locks = (FolderLock(run.folder),)
    run.locks = (lock, *run.locks)
    return prepared


def take_up(folder: Path, device: torch.device, length: Length | None) -> Prepared:
    """Resume a run whose folder is locked: see `resume_run`."""
    checkpoint = load_checkpoint(folder, device)
    config, tokenizer = checkpoint.config, checkpoint.tokenizer
    saved = load_saved(folder)
    is_both = config.corpus.direction == "both"
    if saved.is_finished and length is None:
        if not is_both or is_backward_done(folder):
            raise finished(folder, saved)
        return take_up_backward(folder, device)
    check_state(checkpoint.model, saved.training, saved.tensors, folder / STATE)
    training, notes = fit_resumed(saved.training, config.model.cell, device)
    saved = replace(saved, training=training)
    train, valid = find_part(checkpoint, "train"), find_part(checkpoint, "valid")
    run = assemble(folder, config, tokenizer, checkpoint.model, training, train, valid)
    before = saved.arithmetic
    extension = None if length is None else make_longer(run, saved, length, train, tokenizer)
    if extension is not None:
        before, notes = extension.arithmetic, (*notes, extension.note)
    elif saved.is_finished:
        if not is_both or is_backward_done(folder):
            raise finished(folder, saved)
        return take_up_backward(folder, device)
    else:
        run.restore(saved.tensors, saved.progress)
    run.save_recipe()  # its length is out of date if the process that changed it was killed
    notes += arithmetic_notes(before, describe_arithmetic(device))
    step = run.progress.step
    is_validated = run.is_finished or step % run.learner.config.valid_every == 0
    forget_metrics_after(folder, step, is_validated=is_validated)
    report_earlier_weights(folder, run.progress)
    return Prepared(run, tokenizer, None, notes)


def report_earlier_weights(folder: Path, progress: Progress) -> None:
    """Append one report on the weights that are kept from before a run was extended."""
    if progress.earlier_nats is None:
        return
    kept = {"earlier_nats": progress.earlier_nats, "earlier_step": progress.earlier_step}
    if not any(kept.items() <= report.items() for report in read_metrics(folder)):
        append_metrics(folder, {"step": progress.step, **kept})


def make_longer(
    run: TrainingRun, saved: Saved, length: Length, train: TokenFile, tokenizer: Tokenizer
) -> Extension | None:
    """Restore a run to the state from which a longer one continues, and save it.

    Returns None, and changes nothing, if the run already has that length.
    """
    facts = Facts(
        level=run.config.text.level,
        vocab_size=tokenizer.vocab_size,
        num_tokens=len(train),
        num_valid_tokens=0,
        num_windows=lambda _: len(run.learner.windows),
    )
    halves = 2 if run.config.corpus.direction == "both" else 1
    size = RunSize(run.learner.steps_per_epoch, facts, halves)
    level = load_level_state(run.folder, run.learner.model)
    extension = extend(run.folder, saved, level, length, size)
    if extension is None:
        return None
    run.learner.plan_steps(extension.training.steps)
    run.restore(dict(extension.tensors), extension.progress)
    run.save()  # before reports are removed, so that a process killed in between loses none
    return extension


def take_up_backward(folder: Path, device: torch.device) -> Prepared:
    """Resume or begin the backward half in a locked folder: see `resume_backward`."""
    backward = folder / BACKWARD
    if backward.exists() and not (backward / STATE).exists() and not has_reports(backward):
        remove_checkpoint(backward)  # an older charlm was killed before its first step
    if not backward.exists():
        return begin_backward(folder, device)
    steps, half = load_saved(folder).training.steps, load_saved(backward)
    is_shorter = half.training.steps < steps and not half.progress.stopped
    return resume_run(backward, device, Length(steps=steps) if is_shorter else None)


def is_backward_done(folder: Path) -> bool:
    """Return whether the backward half stopped early, or is finished at the forward's length."""
    backward = folder / BACKWARD
    if not backward.exists() or not has_reports(backward):
        return False
    half = load_saved(backward)
    if half.progress.stopped:
        return True
    return half.is_finished and half.training.steps >= load_saved(folder).training.steps


def finished(folder: Path, saved: Saved) -> CheckpointError:
    """Return the error for a run that has no steps left."""
    has_level = (folder / LEVEL_STATE).exists()
    if saved.progress.stopped and (is_independent(saved) or not has_level):
        return stopped_early(folder, saved)
    return CheckpointError(
        f"{folder} is finished, at step {saved.progress.step:,} of {saved.training.steps:,}; to "
        "train longer, resume with more --steps, --epochs or --time, or start a new run with "
        f"`{command_line('train', '--recipe', folder / RECIPE)}`."
    )


def begin_backward(folder: Path, device: torch.device) -> Prepared:
    """Begin the backward half in a locked folder: see `create_backward`.

    The half is a checkpoint inside the checkpoint. It has the same vocabulary, model shape,
    training settings and number of steps.
    """
    forward = load_checkpoint(folder, device)
    saved = load_saved(folder)
    assert forward.config.corpus.direction == "both" and saved.is_finished
    config, tokenizer = forward.config, forward.tokenizer
    config = replace(config, corpus=replace(config.corpus, direction="backward"))
    training, notes = fit_resumed(saved.training, config.model.cell, device)
    vectors = find_vectors({"embeddings": training.embeddings}, tokenizer)
    model = new_model(config.model, training, vectors)
    half = replace(forward, config=config)
    train, valid = find_part(half, "train"), find_part(half, "valid")
    begin_with_lengths(model, train, tokenizer.start_id)
    save_frequencies(folder, count_ids(train, tokenizer.vocab_size))
    run = assemble(folder / BACKWARD, config, tokenizer, model.to(device), training, train, valid)
    create_folder(run, tokenizer)
    note = f"now the backward half, in {run.folder}: {training.steps:,} steps as before."
    return Prepared(run, tokenizer, None, (*notes, note))
