"""Preparation of a run from its settings: corpus, tokenizer, plan and checkpoint folder."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from charlm.checkpoint import (
    CheckpointConfig,
    create_checkpoint,
    existing_folder,
)
from charlm.data import (
    PARTS,
    Corpus,
    CorpusConfig,
    Epochs,
    JoinedTokens,
    LabelledPart,
    Part,
    TextPart,
    TokenFile,
    Vectors,
    count_other,
    encode_part,
    find_frames,
    read_corpus,
)
from charlm.device import free_memory, total_memory
from charlm.errors import ConfigError
from charlm.model import LanguageModel, LengthHead, ModelConfig, StopName
from charlm.settings import pick
from charlm.text import TextConfig, Tokenizer, build_tokenizer, other_note, unspaced_note
from charlm.training.config import TrainingConfig
from charlm.training.learner import Learner
from charlm.training.measure import measure_step
from charlm.training.memory import check_memory
from charlm.training.pace import budget_seconds
from charlm.training.plan import Plan, make_plan
from charlm.training.precision import check_precision, gains_from_bfloat16
from charlm.training.pretrained import begin_with, coverage_note, find_vectors, fit_to_vectors
from charlm.training.recipe import Recipe
from charlm.training.rules import Facts
from charlm.training.run import TrainingRun
from charlm.training.texts import VALID_TOKENS, train_windows, valid_windows


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that is ready to train, with notes for the user."""

    run: TrainingRun
    tokenizer: Tokenizer
    plan: Plan | None  # None for a resumed run, which keeps its settings
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """A planned run, without a model or a checkpoint folder yet."""

    plan: Plan
    corpus: Corpus
    text: TextConfig
    tokenizer: Tokenizer
    train: TokenFile
    valid: TokenFile
    vectors: Vectors | None  # initial values of the embedding
    notes: tuple[str, ...]


def prepare_run(
    given: Mapping[str, Any], folder: Path, device: torch.device, began: float | None = None
) -> Prepared:
    """Read the corpus, build the vocabulary, plan the run and create the checkpoint folder.

    Args:
        given: settings by name, those of a recipe and of the command line.
        folder: of the new checkpoint.
        device: for training.
        began: start of the time budget, by `time.monotonic`; None: now.

    Raises:
        CharlmError: a setting, the corpus or the folder cannot be used.
    """
    if folder.exists():  # create_checkpoint would report this only after all the work
        raise existing_folder(folder)
    return create_run(plan_run(given, device, began), folder, device)


def plan_run(given: Mapping[str, Any], device: torch.device, began: float | None = None) -> Planned:
    """Read the corpus, build the vocabulary and plan the run; arguments as for `prepare_run`.

    Raises:
        CharlmError: a setting or the corpus cannot be used.
    """
    began = time.monotonic() if began is None else began
    budget_seconds(given)
    check_precision(given, device)
    if "label" in given:
        given = {"independent_frames": True, **given, "labelled": True}
    text = TextConfig(**pick(TextConfig, given))
    corpus = read_corpus(CorpusConfig(**pick(CorpusConfig, given)), text)
    tokenizer = build_tokenizer(text, corpus.parts["train"])
    if corpus.labels:
        given = {**given, "num_labels": len(corpus.labels)}
    # The test part is encoded now because standard input cannot be read again later.
    train, valid, _ = (encode_part(corpus, part, tokenizer) for part in PARTS)
    if corpus.config.direction == "both":
        turned = replace(corpus, config=replace(corpus.config, direction="backward"))
        for part in PARTS:
            encode_part(turned, part, tokenizer)
    if len(valid) < 2:
        refuse_validation_settings(given)
    vectors = find_vectors(given, tokenizer)
    if vectors is not None:
        given = fit_to_vectors(given, vectors.size)

    stop_by = given.get("stop_by", "symbol")
    check_stop(stop_by, corpus.config)

    @cache  # because windows of independent frames are found by reading the whole text
    def epochs(training: TrainingConfig) -> Epochs:
        return train_windows(train, tokenizer, corpus.config, training, stop_by)

    facts = Facts(
        level=text.level,
        vocab_size=tokenizer.vocab_size,
        num_tokens=len(train),
        num_valid_tokens=min(len(valid), VALID_TOKENS),
        num_windows=lambda training: len(epochs(training)),
        has_bfloat16=gains_from_bfloat16(given.get("cell", "lstm"), device),
        free_bytes=free_memory(device),
        spent_seconds=time.monotonic() - began,
    )
    total_bytes = total_memory(device)

    def measure(model: ModelConfig, training: TrainingConfig, seconds: float) -> float:
        check_memory(model, training, total_bytes)
        return measure_step(model, training, epochs(training), device, seconds)

    plan = make_plan(given, facts, measure)
    check_memory(plan.model, plan.training, total_bytes)
    notes = corpus.notes + vocabulary_notes(text, tokenizer, valid)
    notes += unknown_notes(corpus, tokenizer, train, valid)
    if vectors is not None:
        notes += (coverage_note(vectors, tokenizer, train),)
    return Planned(plan, corpus, text, tokenizer, train, valid, vectors, notes)


def create_run(planned: Planned, folder: Path, device: torch.device) -> Prepared:
    """Create the checkpoint folder of a planned run, with an untrained model.

    Raises:
        StorageError: the folder exists already or cannot be written.
    """
    plan, corpus, tokenizer = planned.plan, planned.corpus, planned.tokenizer
    config = CheckpointConfig(
        text=planned.text,
        corpus=corpus.config,
        corpus_sha256=corpus.sha256,
        tokenizer_sha256=hashlib.sha256(tokenizer.to_json().encode()).hexdigest(),
        model=plan.model,
        labels=corpus.labels,
        label_counts=count_frames(planned.train, tokenizer.start_id),
    )
    model = new_model(plan.model, plan.training, planned.vectors)
    begin_with_lengths(model, planned.train, tokenizer.start_id)
    parts = planned.train, planned.valid
    run = assemble(folder, config, tokenizer, model.to(device), plan.training, *parts)
    if plan.budget is not None:
        run.progress.budget_seconds = plan.budget.seconds
        run.progress.max_steps = plan.budget.max_steps
    create_folder(run, tokenizer, corpus.parts if corpus.config.keep_text else None)
    return Prepared(run, tokenizer, plan, planned.notes)


def create_folder(
    run: TrainingRun,
    tokenizer: Tokenizer,
    heldout: Mapping[Part, TextPart | LabelledPart] | None = None,
) -> None:
    """Create the checkpoint folder of a new run, which can be resumed from then on.

    The folder keeps the validation and test texts of `heldout`.

    Raises:
        StorageError: the folder exists already or cannot be written.
    """
    config, model = run.config, run.learner.model
    recipe = Recipe(config.corpus, config.text, config.model, run.learner.config)
    run.config = create_checkpoint(
        run.folder, config, tokenizer, model, recipe.to_toml(), run.state(), heldout
    )


def new_model(
    shape: ModelConfig, training: TrainingConfig, vectors: Vectors | None
) -> LanguageModel:
    """Return an untrained model, initialized with the seed and the vectors, if any."""
    torch.manual_seed(training.seed)
    model = LanguageModel(shape)
    if vectors is not None:
        begin_with(model, vectors)
    return model


def assemble(
    folder: Path,
    config: CheckpointConfig,
    tokenizer: Tokenizer,
    model: LanguageModel,
    training: TrainingConfig,
    train: TokenFile,
    valid: TokenFile,
) -> TrainingRun:
    """Return a run at step 0, assembled from its parts."""
    # MKL may use fewer threads for a product until their number is set. A sample shown during
    # training sets it, and a resumed run must multiply like a run that has shown samples.
    torch.set_num_threads(torch.get_num_threads())
    stop_by = config.model.stop_by
    windows = train_windows(train, tokenizer, config.corpus, training, stop_by)
    return TrainingRun(
        folder=folder,
        config=config,
        learner=Learner(model, windows, training),
        valid=valid_windows(valid, tokenizer, config.corpus, stop_by),
    )


def begin_with_lengths(model: LanguageModel, train: TokenFile, start_id: int) -> None:
    """Initialize a length head with the lengths of the frames in the training text.

    A model with another head is left unchanged.
    """
    if isinstance(model.head, LengthHead):
        frames = find_frames(train.tokens, start_id)
        model.head.begin_with(torch.from_numpy(ends - starts - 2) for starts, ends in frames)


def count_frames(text: TokenFile, start_id: int) -> tuple[int, ...]:
    """Return the number of frames per label in a text; empty if it has no labels."""
    if not isinstance(text.tokens, JoinedTokens):
        return ()
    counts = np.zeros(len(text.tokens.bounds) - 1, dtype=np.int64)
    for starts, _ in find_frames(text.tokens, start_id):
        counts += np.bincount(text.tokens.labels(starts), minlength=len(counts))
    return tuple(counts.tolist())


def check_stop(stop_by: StopName, corpus: CorpusConfig) -> None:
    """Check that --stop-by length is used with independent frames only.

    The length of a frame is an input at its beginning.

    Raises:
        ConfigError: `stop_by` is "length" and the frames form a stream.
    """
    if stop_by == "length" and not corpus.independent_frames:
        raise ConfigError(
            "--stop-by length foretells how long each frame is; add --independent-frames."
        )


def refuse_validation_settings(given: Mapping[str, Any]) -> None:
    """Check that no setting depends on validation, which a run without held-out text lacks.

    Raises:
        ConfigError: such a setting is given.
    """
    flags = {
        "--patience": given.get("patience") is not None,
        "--schedule plateau": given.get("schedule") == "plateau",
        "--averaging triggered": given.get("averaging") == "triggered",
    }
    for flag, asked in flags.items():
        if asked:
            raise ConfigError(f"{flag} has no effect: the split holds nothing out to validate on.")


def vocabulary_notes(text: TextConfig, tokenizer: Tokenizer, valid: TokenFile) -> tuple[str, ...]:
    """Return notes if the vocabulary is smaller than requested, or if nothing is held out."""
    notes = []
    if text.vocab_size is not None and tokenizer.num_symbols < text.vocab_size:
        kind = {"word": "words", "char": "characters", "bpe": "tokens"}[text.level]
        notes.append(
            f"the training text has only {tokenizer.num_symbols:,} distinct {kind}, fewer than "
            f"--vocab-size {text.vocab_size:,}."
        )
    if len(valid) < 2:
        notes.append("nothing is held out for validation: the newest weights are kept as the best.")
    return tuple(notes)


def unknown_notes(
    corpus: Corpus, tokenizer: Tokenizer, train: TokenFile, valid: TokenFile
) -> tuple[str, ...]:
    """Return notes if words cannot be found in the text, or if much of it is `<other>`."""
    notes = []
    if tokenizer.level == "word" and not tokenizer.pretokenized:
        notes.append(unspaced_note(corpus.parts["train"]))
    if tokenizer.level in ("word", "char"):
        parts = {"the validation part": valid, "the training part": train}
        counted = {name: count_other(part, tokenizer) for name, part in parts.items()}
        name = max(counted, key=lambda name: counted[name][0] / max(1, counted[name][1]))
        notes.append(other_note(name, *counted[name], tokenizer.level))
    return tuple(note for note in notes if note is not None)
