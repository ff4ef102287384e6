"""Files for adapting a trained model: tuned settings and the size of its gradients.

adaptation.json          tuned settings of dynamic evaluation and of the cache
gradients.safetensors    root mean square of each weight's gradient on the training text

Both record the SHA-256 of the weights they were made with, and are ignored if the weights have
changed.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from charlm.checkpoint.tensor_checks import check_tensors
from charlm.checkpoint.weights import read_tensors, write_tensors
from charlm.errors import CheckpointError
from charlm.location import ADAPTATION, GRADIENTS, WEIGHTS
from charlm.settings import fits
from charlm.storage import replace_file
from charlm.untrusted import MAX_ADAPTATION_BYTES, open_regular, parse_json, read_regular

KINDS = dict[str, dict[str, float] | None]
Adaptations = dict[str, dict[str, Any]]
"""Settings by what they are for, such as `cache`."""


def read_adaptations(folder: Path) -> Adaptations:
    """Return the settings tuned for the current weights, or an empty dict if there are none.

    A damaged file counts as none.

    Raises:
        CheckpointError: the file or the weights cannot be read, for example because the file is
            not a regular file or is too large.
    """
    path = folder / ADAPTATION
    try:
        content = parse_json(read_regular(path, MAX_ADAPTATION_BYTES))
        found, weights = content["settings"], content["weights_sha256"]
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError):
        return {}
    if weights != weights_sha256(folder) or not isinstance(found, dict):
        return {}
    return {name: settings for name, settings in found.items() if fits(settings, KINDS)}


def save_adaptation(folder: Path, name: str, settings: Mapping[str, Any]) -> None:
    """Save tuned settings under a name; settings of other names are kept.

    Raises:
        CheckpointError: the old file or the weights cannot be read.
        StorageError: the file cannot be written.
    """
    kept = read_adaptations(folder) | {name: dict(settings)}
    content = {"weights_sha256": weights_sha256(folder), "settings": kept}
    replace_file(folder / ADAPTATION, json.dumps(content, indent=2) + "\n")


def read_gradients(
    folder: Path, shapes: Mapping[str, Sequence[int]] | None = None
) -> dict[str, Tensor] | None:
    """Return the size of each weight's gradient by name, or None if not saved for these weights.

    Args:
        folder: checkpoint folder.
        shapes: shapes of the weights by name; None: shapes are not checked.

    Raises:
        CheckpointError: the weights cannot be read, or the gradients were saved for these weights
            but have other names, shapes or types, or are not finite.
    """
    path = folder / GRADIENTS
    try:
        sizes, weights = read_tensors(path)
    except CheckpointError:
        return None
    if weights != weights_sha256(folder):
        return None
    if shapes is not None:
        check_tensors(sizes, shapes, str(path))
    return sizes


def save_gradients(folder: Path, sizes: Mapping[str, Tensor]) -> None:
    """Save the size of each weight's gradient.

    Raises:
        CheckpointError: the weights cannot be read.
        StorageError: the file cannot be written.
    """
    write_tensors(folder / GRADIENTS, sizes, weights_sha256(folder))


def weights_sha256(folder: Path) -> str:
    """Return the SHA-256 of the checkpoint's weight file, in hexadecimal.

    Raises:
        CheckpointError: the file is missing or cannot be read.
    """
    path = folder / WEIGHTS
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
