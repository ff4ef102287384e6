"""A checkpoint folder: how it comes to be and how it is read.

config.json          text, corpus and model settings, versions
model.safetensors    best weights so far; tied weights once
tokenizer.json       Hugging Face tokenizers
recipe.toml          what `charlm train --recipe` needs to repeat the run
metrics.jsonl        a line a report
README.md            model card
heldout/             validation and test texts, unless they are private
state/               training.safetensors: all that resuming needs; level.safetensors: where a
                     longer run would go on from; may be deleted
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from charlm.checkpoint.config_file import CheckpointConfig, read_config
from charlm.checkpoint.heldout import save_heldout
from charlm.checkpoint.leftovers import sweep_nurseries
from charlm.checkpoint.tensor_checks import check_tensors
from charlm.checkpoint.weights import read_tensors, write_tensors
from charlm.data import LabelledPart, Part, TextPart
from charlm.errors import CheckpointError, StorageError, TokenizerError
from charlm.location import CONFIG, METRICS, RECIPE, STATE, TOKENIZER, WEIGHTS, command_line
from charlm.model import LanguageModel, ModelConfig, count_parameters
from charlm.storage import (
    FolderLock,
    make_folder,
    make_temporary,
    replace_file,
    storage_errors,
    sync_folder,
)
from charlm.text import Tokenizer, parse_tokenizer
from charlm.untrusted import (
    MAX_TOKENIZER_BYTES,
    MAX_TOKENIZER_VALUES,
    open_regular,
    read_regular,
)

SPARE_VALUES = 10_000  # of a tokenizer.json, besides its symbols


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model that can be used, as its folder holds it."""

    folder: Path
    config: CheckpointConfig
    tokenizer: Tokenizer
    model: LanguageModel


def create_checkpoint(
    folder: Path,
    config: CheckpointConfig,
    tokenizer: Tokenizer,
    model: LanguageModel,
    recipe: str,
    state: tuple[dict[str, Tensor], str],
    heldout: Mapping[Part, TextPart | LabelledPart] | None = None,
) -> CheckpointConfig:
    """Make a new folder that is complete from its first instant, with the untrained weights.

    Until it is complete it has another name. `state` is what `save_state` takes: with it a run can
    be resumed even if nothing else is ever written. The validation and test texts of `heldout` are
    kept in it.

    Returns: the configuration with the record of those texts.

    Raises:
        StorageError: the folder exists or cannot be written.
    """
    if folder.exists():
        raise existing_folder(folder)
    make_folder(folder.parent)
    sweep_nurseries(folder.parent)
    with storage_errors(folder):
        nursery, _ = make_temporary(folder, Path.mkdir)
    try:
        with FolderLock(nursery):
            replace_file(nursery / CONFIG, config.to_json())  # first: it says whose folder this is
            if heldout is not None:
                config = replace(config, heldout=save_heldout(nursery, heldout))
                replace_file(nursery / CONFIG, config.to_json())
            replace_file(nursery / TOKENIZER, tokenizer.to_json())
            replace_file(nursery / RECIPE, recipe)
            replace_file(nursery / METRICS, "")
            save_state(nursery, *state)
            save_weights(nursery, model)
            with storage_errors(folder):
                nursery.rename(folder)
                sync_folder(folder.parent)
    finally:
        shutil.rmtree(nursery, ignore_errors=True)
    return config


def save_recipe(folder: Path, recipe: str) -> None:
    """Write recipe.toml anew.

    Raises:
        StorageError: it cannot be written, and the old one stays.
    """
    replace_file(folder / RECIPE, recipe)


def existing_folder(folder: Path) -> StorageError:
    """The error for a run that would overwrite another."""
    return StorageError(
        f"{folder} exists and is never overwritten; continue it with --resume, or choose another "
        "folder with -o."
    )


def load_checkpoint(folder: Path, device: torch.device) -> Checkpoint:
    """Read a model to use. No code of the folder is run; nothing is allocated that it lacks.

    Raises:
        CheckpointError: a file is missing or damaged, or one does not fit another.
    """
    config, tokenizer = load_tokenizer_of(folder)
    weights, _ = read_tensors(folder / WEIGHTS)
    model = build_model(config.model, weights, folder / WEIGHTS)
    return Checkpoint(folder, config, tokenizer, model.to(device).eval())


def load_tokenizer_of(folder: Path) -> tuple[CheckpointConfig, Tokenizer]:
    """The settings and the tokenizer of a checkpoint.

    Raises:
        CheckpointError: a file is missing or damaged, or they do not fit.
        TokenizerError: tokenizer.json is not a tokenizer.
    """
    config = read_config(folder / CONFIG)
    check_vocabulary_size(config.model, folder)
    path = folder / TOKENIZER
    try:
        content = read_regular(path, MAX_TOKENIZER_BYTES)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    if hashlib.sha256(content).hexdigest() != config.tokenizer_sha256:
        raise CheckpointError(f"{path} is damaged or not the one this model was trained with.")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise TokenizerError(f"{path} cannot be read as a tokenizer: {error}.") from error
    # A symbol and its merge are five values. The vocabulary is in turn no larger than the weights.
    most = SPARE_VALUES + 5 * config.model.vocab_size
    tokenizer = parse_tokenizer(text, str(path), min(most, MAX_TOKENIZER_VALUES))
    level = config.text.level, config.text.pretokenized
    if (tokenizer.level, tokenizer.pretokenized) != level:
        raise CheckpointError(
            f"{path} is a tokenizer of level {tokenizer.level}, but {folder / CONFIG} names level "
            f"{config.text.level}, or another --pretokenized; restore the pair."
        )
    if tokenizer.vocab_size != config.model.vocab_size:
        raise CheckpointError(
            f"{path} has {tokenizer.vocab_size:,} tokens, but the model of {folder / CONFIG} "
            f"knows {config.model.vocab_size:,}; restore the pair."
        )
    return config, tokenizer


def check_vocabulary_size(config: ModelConfig, folder: Path) -> None:
    """Refuse a vocabulary that the weights are too few for, before it is read.

    Raises:
        CheckpointError: they have fewer bytes than there are symbols, or cannot be read.
    """
    path = folder / WEIGHTS
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; the checkpoint is not complete.") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    if size < config.vocab_size:
        raise CheckpointError(
            f"{path} has {size:,} bytes, too few for a vocabulary of {config.vocab_size:,}; "
            "restore it."
        )


def build_model(config: ModelConfig, weights: dict[str, Tensor], path: Path) -> LanguageModel:
    """A model with these weights, built only when they are known to fit.

    Raises:
        CheckpointError: names or shapes do not fit the configuration.
    """
    check_size(config, weights, path)
    with torch.device("meta"):  # shapes without memory
        expected = {n: p.shape for n, p in LanguageModel(config).named_parameters()}
    check_tensors(weights, expected, str(path))
    model = LanguageModel(config)
    load_weights(model, weights)
    return model


def check_size(config: ModelConfig, weights: dict[str, Tensor], path: Path) -> None:
    """Have a configuration ask for no more than the weights hold, before anything is built.

    A configuration of a few bytes could name a billion layers or rounds otherwise.

    Raises:
        CheckpointError: it asks for more modules than there are tensors, or for another number of
            weights in all.
    """
    held = sum(tensor.numel() for tensor in weights.values())
    modules = config.num_layers * max(1, config.mogrifier_steps)  # each has a tensor at least
    if modules <= len(weights):
        needed = sum(part.count for part in count_parameters(config))
        if needed == held:
            return
    raise CheckpointError(
        f"{path} does not fit {CONFIG} beside it: it has {held:,} weights in {len(weights):,} "
        "tensors; restore the pair."
    )


def model_weights(model: LanguageModel) -> dict[str, Tensor]:
    """The weights by name, tied ones once."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


@torch.no_grad()
def load_weights(model: LanguageModel, weights: dict[str, Tensor]) -> None:
    """Copy weights of the same names and shapes into a model."""
    for name, parameter in model.named_parameters():
        parameter.copy_(weights[name])


def save_weights(folder: Path, model: LanguageModel) -> None:
    """Replace model.safetensors.

    Raises:
        StorageError: it cannot be written; the old one stays.
    """
    write_tensors(folder / WEIGHTS, model_weights(model))


def save_state(folder: Path, tensors: dict[str, Tensor], progress: str, file: Path = STATE) -> None:
    """Replace a training state, one file, so that its parts always belong together.

    Raises:
        StorageError: it cannot be written; the old one stays.
    """
    make_folder(folder / file.parent)
    write_tensors(folder / file, tensors, progress)


def load_state(folder: Path, file: Path = STATE) -> tuple[dict[str, Tensor], str]:
    """Return the training state that was saved last.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    if not (folder / file).exists():
        raise CheckpointError(
            f"{folder} has no {file}, so it cannot be resumed; start a new run with "
            f"`{command_line('train', '--recipe', folder / RECIPE)}`."
        )
    return read_tensors(folder / file)
