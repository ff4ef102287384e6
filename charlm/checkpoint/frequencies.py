"""How often each token occurs in the training text, kept beside a model that needs to know."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charlm.checkpoint.weights import read_tensors, write_tensors
from charlm.location import FREQUENCIES


def save_frequencies(folder: Path, counts: NDArray[np.int64]) -> None:
    """Keep counts of each token, (vocab_size,).

    Raises:
        StorageError: the file cannot be written.
    """
    write_tensors(folder / FREQUENCIES, {"counts": torch.from_numpy(counts)})


def read_frequencies(folder: Path) -> Tensor:
    """The counts of each token, (vocab_size,), int64.

    Raises:
        CheckpointError: they are missing or damaged.
    """
    tensors, _ = read_tensors(folder / FREQUENCIES)
    return tensors["counts"]
