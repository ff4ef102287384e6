import math

import pytest
import torch

from charlm.checkpoint import check_tensor, check_tensors
from charlm.errors import CheckpointError

SHAPES = {"a": (2, 3), "b": (0,), "c": ()}
GOOD = {"a": torch.ones(2, 3), "b": torch.zeros(0), "c": torch.tensor(3.0)}


def test_tensors_that_are_expected_pass():
    check_tensors(GOOD, SHAPES, "the file")
    check_tensor("n", torch.arange(3), (3,), "the file", torch.int64)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"d": torch.ones(1)},
            "the file does not fit the model: it has d, which the model does",
        ),
        ({"d" * 5000: torch.ones(1)}, "it has ddd"),
        ({"a": torch.ones(3, 2)}, r"a has shape \(3, 2\), not \(2, 3\)"),
        ({"a": torch.ones(2, 3, dtype=torch.float64)}, "a is of float64, not float32"),
        ({"c": torch.tensor(math.nan)}, "the file is damaged: c holds NaN or infinity"),
        ({"c": torch.tensor(-math.inf)}, "c holds NaN or infinity"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named_in_one_short_line(changes, said):
    with pytest.raises(CheckpointError, match=said) as error:
        check_tensors({**GOOD, **changes}, SHAPES, "the file")

    assert "\n" not in str(error.value) and len(str(error.value)) < 250


def test_a_missing_tensor_is_named():
    with pytest.raises(CheckpointError, match="the file does not fit the model: b is missing"):
        check_tensors({"a": GOOD["a"]}, SHAPES, "the file")
