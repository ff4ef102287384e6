"""Token counts of the training text, stored in a checkpoint whose model needs them."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charlm.checkpoint.tensor_checks import check_tensor
from charlm.checkpoint.weights import read_tensors, write_tensors
from charlm.errors import CheckpointError
from charlm.location import FREQUENCIES


def save_frequencies(folder: Path, counts: NDArray[np.int64]) -> None:
    """Save the count of each token, (vocab_size,).

    Raises:
        StorageError: the file cannot be written.
    """
    write_tensors(folder / FREQUENCIES, {"counts": torch.from_numpy(counts)})


def read_frequencies(folder: Path, vocab_size: int | None = None) -> Tensor:
    """Return the count of each token in the training text, (vocab_size,), int64.

    Args:
        folder: checkpoint folder.
        vocab_size: vocabulary size of the model; None: it is not checked.

    Raises:
        CheckpointError: the file is missing or damaged, or its counts are of another vocabulary
            size, of another type or negative.
    """
    path = folder / FREQUENCIES
    tensors, _ = read_tensors(path)
    counts = tensors.get("counts")
    if counts is None:
        raise CheckpointError(f"{path} does not fit the model: counts is missing.")
    size = counts.numel() if vocab_size is None else vocab_size
    check_tensor("counts", counts, (size,), str(path), torch.int64)
    if counts.numel() and int(counts.min()) < 0:
        raise CheckpointError(f"{path} is damaged: counts holds numbers below 0.")
    return counts
