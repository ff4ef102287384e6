import numpy as np
import pytest
import torch

from charlm.checkpoint import read_frequencies, save_frequencies
from charlm.checkpoint.weights import write_tensors
from charlm.errors import CheckpointError


def test_counts_come_back_as_they_were(tmp_path):
    save_frequencies(tmp_path, np.array([3, 0, 5]))

    assert read_frequencies(tmp_path, 3).tolist() == [3, 0, 5]
    assert read_frequencies(tmp_path).tolist() == [3, 0, 5]


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({}, "counts is missing"),
        ({"count": torch.arange(3)}, "counts is missing"),
        ({"counts": torch.arange(4)}, r"counts has shape \(4,\), not \(3,\)"),
        ({"counts": torch.arange(3).view(1, 3)}, r"counts has shape \(1, 3\), not \(3,\)"),
        ({"counts": torch.arange(3.0)}, "counts is of float32, not int64"),
        ({"counts": torch.tensor([1, -1, 1])}, "counts holds numbers below 0"),
    ],
)
def test_counts_that_do_not_fit_the_vocabulary_are_refused(tmp_path, tensors, said):
    write_tensors(tmp_path / "frequencies.safetensors", tensors)

    with pytest.raises(CheckpointError, match=said):
        read_frequencies(tmp_path, 3)
