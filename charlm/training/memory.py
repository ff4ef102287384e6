"""Estimates of the memory that training takes, without building the model."""

from collections.abc import Mapping

from charlm.cells import CELLS
from charlm.errors import ConfigError
from charlm.model import ModelConfig, count_parameters
from charlm.training.config import TrainingConfig

NUMBER = 4  # bytes of a float32
MOMENTS = {"adamw": 2, "muon": 2, "sgd": 0}  # maximum numbers per weight in the optimizer state
FEWEST_MOMENTS = MOMENTS | {"muon": 1}  # minimum: Muon keeps one for a weight of a matrix
# The training state exists three more times: as of the last validation, and during a save as a copy
# and as the bytes of a file.
COPIES_OF_ALL = 3
# Of a layer's gates: input contributions, activations, gradients, temporary values.
COPIES_OF_GATES = 4


def num_parameters(model: ModelConfig) -> int:
    """Return the number of weights of a model; tied weights count once."""
    return sum(part.count for part in count_parameters(model))


def memory_bytes(model: ModelConfig, training: TrainingConfig) -> int:
    """Return the estimated bytes for weights, gradients, training state and one window.

    The memory of the program itself is not included.
    """
    copies = 1 + COPIES_OF_ALL
    weights = num_parameters(model) * NUMBER * (lasting_numbers(training) * copies + 1)
    number = 2 if training.precision == "bfloat16" else NUMBER
    units = sum(model.layer_sizes) * (CELLS[model.cell].num_gates * COPIES_OF_GATES + 4) + 4 * (
        0 if model.embedding == "one-hot" else model.embedding_size
    )
    window = training.batch_size * training.bptt * units * number
    return weights + window


def lasting_numbers(training: TrainingConfig, moments: Mapping[str, int] = MOMENTS) -> int:
    """Return how many numbers are kept per weight between steps, including the weight itself."""
    averages = 0 if training.averaging == "none" else 1
    return 1 + moments[training.optimizer] + averages


def check_memory(model: ModelConfig, training: TrainingConfig, total_bytes: float) -> None:
    """Check that a model fits into memory before it is built; otherwise Linux kills the process.

    Raises:
        ConfigError: weights, gradients, optimizer state and averaged weights alone take more than
            `total_bytes`.
    """
    weights = num_parameters(model)
    least = weights * NUMBER * (lasting_numbers(training, FEWEST_MOMENTS) + 1)
    if least > total_bytes:
        raise ConfigError(
            f"a model of {weights:,} parameters takes at least {least / 2**30:,.1f} GiB to train, "
            f"and this machine has {total_bytes / 2**30:,.1f} GiB; lower --hidden-size, "
            "--num-layers, --embedding-size or --vocab-size."
        )
