"""Creating, saving and loading checkpoint folders.

config.json          text, corpus and model settings, versions
model.safetensors    best weights so far; tied weights stored once
tokenizer.json       Hugging Face tokenizers
recipe.toml          settings for `charlm train --recipe` to repeat the run
metrics.jsonl        one report per line
README.md            model card
heldout/             validation and test texts, unless they are private
state/               training.safetensors: everything needed to resume; level.safetensors: the state
                     from which a longer run would continue; may be deleted
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
from charlm.untrusted import MAX_TOKENIZER_BYTES, open_regular, read_regular

BYTES_PER_SYMBOL = 4  # minimum: one float32 weight per symbol in the output layer


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded checkpoint: settings, tokenizer and model."""

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
    """Create a checkpoint folder with untrained weights.

    The folder has a temporary name until it is complete, so `folder` never exists in part.

    Args:
        folder: path of the new folder; missing parents are created.
        config: settings of the checkpoint.
        tokenizer: tokenizer of the model.
        model: model with its initial weights.
        recipe: content of recipe.toml.
        state: training state as for `save_state`, so that the run can be resumed from the start.
        heldout: validation and test texts to store in the folder; None: they are not stored.

    Returns: the configuration, with the record of the held-out texts.

    Raises:
        TextError: a held-out text cannot be read.
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
            replace_file(nursery / CONFIG, config.to_json())  # first: identifies the folder
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
    """Replace recipe.toml.

    Raises:
        StorageError: the file cannot be written; the old one stays.
    """
    replace_file(folder / RECIPE, recipe)


def existing_folder(folder: Path) -> StorageError:
    """Return the error for a run that would overwrite another one."""
    return StorageError(
        f"{folder} exists and is never overwritten; continue it with --resume, or choose another "
        "folder with -o."
    )


def load_checkpoint(folder: Path, device: torch.device) -> Checkpoint:
    """Load a model for use, in evaluation mode on the device.

    No code from the folder is run. Memory is limited by the size of the files, not by what the
    settings claim.

    Raises:
        CheckpointError: a file is missing or damaged, or files do not fit each other.
        TokenizerError: tokenizer.json is not a tokenizer.
    """
    config, tokenizer = load_tokenizer_of(folder)
    weights, _ = read_tensors(folder / WEIGHTS)
    model = build_model(config.model, weights, folder / WEIGHTS)
    return Checkpoint(folder, config, tokenizer, model.to(device).eval())


def load_tokenizer_of(folder: Path) -> tuple[CheckpointConfig, Tokenizer]:
    """Load the settings and the tokenizer of a checkpoint.

    Raises:
        CheckpointError: a file is missing or damaged, or files do not fit each other.
        TokenizerError: tokenizer.json is not a tokenizer.
    """
    config = read_config(folder / CONFIG)
    check_vocabulary_size(config.model, folder)
    path = folder / TOKENIZER
    tokenizer = parse_tokenizer(tokenizer_text(path, config), str(path), config.model.vocab_size)
    level = config.text.level, config.text.pretokenized
    if (tokenizer.level, tokenizer.pretokenized) != level:
        raise CheckpointError(
            f"{path} is a tokenizer of level {tokenizer.level}, but {folder / CONFIG} names level "
            f"{config.text.level}, or another --pretokenized; restore the pair."
        )
    return config, tokenizer


def tokenizer_text(path: Path, config: CheckpointConfig) -> str:
    """Return the content of a tokenizer.json.

    Raises:
        CheckpointError: the file cannot be read, or is not the tokenizer of this model.
        TokenizerError: the file is not UTF-8.
    """
    try:
        content = read_regular(path, MAX_TOKENIZER_BYTES)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    if hashlib.sha256(content).hexdigest() != config.tokenizer_sha256:
        raise CheckpointError(f"{path} is damaged or not the one this model was trained with.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise TokenizerError(f"{path} cannot be read as a tokenizer: {error}.") from error


def check_vocabulary_size(config: ModelConfig, folder: Path) -> None:
    """Check that the file of weights is large enough for the vocabulary, before that is read.

    Raises:
        CheckpointError: the file of weights is missing, cannot be read, or has fewer than
            `BYTES_PER_SYMBOL` bytes per symbol.
    """
    path = folder / WEIGHTS
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; the checkpoint is not complete.") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    if size < BYTES_PER_SYMBOL * config.vocab_size:
        raise CheckpointError(
            f"{path} has {size:,} bytes, too few for a vocabulary of {config.vocab_size:,}; "
            "restore it."
        )


def build_model(config: ModelConfig, weights: dict[str, Tensor], path: Path) -> LanguageModel:
    """Build a model with the given weights, after checking that they fit the configuration.

    Raises:
        CheckpointError: names, shapes or types do not fit the configuration, or a weight is not
            finite.
    """
    check_size(config, weights, path)
    with torch.device("meta"):  # shapes without memory
        expected = {n: p.shape for n, p in LanguageModel(config).named_parameters()}
    check_tensors(weights, expected, str(path))
    model = LanguageModel(config)
    load_weights(model, weights)
    return model


def check_size(config: ModelConfig, weights: dict[str, Tensor], path: Path) -> None:
    """Check that a configuration needs exactly the given number of weights.

    This runs before a model is built, because a configuration of a few bytes could ask for a
    billion layers or mogrifier steps.

    Raises:
        CheckpointError: the configuration has more modules than there are tensors, or another
            total number of weights.
    """
    held = sum(tensor.numel() for tensor in weights.values())
    modules = config.num_layers * max(1, config.mogrifier_steps)  # each has at least one tensor
    if modules <= len(weights):
        needed = sum(part.count for part in count_parameters(config))
        if needed == held:
            return
    raise CheckpointError(
        f"{path} does not fit {CONFIG} beside it: it has {held:,} weights in {len(weights):,} "
        "tensors; restore the pair."
    )


def model_weights(model: LanguageModel) -> dict[str, Tensor]:
    """Return the weights by name; tied weights appear once."""
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


@torch.no_grad()
def load_weights(model: LanguageModel, weights: dict[str, Tensor]) -> None:
    """Copy weights into a model; names and shapes must match."""
    for name, parameter in model.named_parameters():
        parameter.copy_(weights[name])


def save_weights(folder: Path, model: LanguageModel) -> None:
    """Replace model.safetensors.

    Raises:
        StorageError: the file cannot be written; the old one stays.
    """
    write_tensors(folder / WEIGHTS, model_weights(model))


def save_state(folder: Path, tensors: dict[str, Tensor], progress: str, file: Path = STATE) -> None:
    """Replace a training state. It is a single file, so that its parts always match.

    Args:
        folder: checkpoint folder.
        tensors: tensors of the state by name.
        progress: the rest of the state, as text.
        file: path of the file in the folder.

    Raises:
        StorageError: the file cannot be written; the old one stays.
    """
    make_folder(folder / file.parent)
    write_tensors(folder / file, tensors, progress)


def load_state(folder: Path, file: Path = STATE) -> tuple[dict[str, Tensor], str]:
    """Return the tensors and the text of the training state that was saved last.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    if not (folder / file).exists():
        raise CheckpointError(
            f"{folder} has no {file}, so it cannot be resumed; start a new run with "
            f"`{command_line('train', '--recipe', folder / RECIPE)}`."
        )
    return read_tensors(folder / file)
