"""How much memory training takes, without building the model."""

from collections.abc import Mapping

from charlm.cells import CELLS
from charlm.errors import ConfigError
from charlm.model import ModelConfig, count_parameters
from charlm.training.config import TrainingConfig

NUMBER = 4  # bytes of a float32
MOMENTS = {"adamw": 2, "muon": 2, "sgd": 0}  # numbers an optimizer keeps for a weight, at most
FEWEST_MOMENTS = MOMENTS | {"muon": 1}  # at least: of a matrix
# All that learns is there three times more: as it was at the last validation, and while it is saved
# as a copy and as the bytes of a file.
COPIES_OF_ALL = 3
COPIES_OF_GATES = (
    4  # of a layer's gates: from the input, activated, their gradients, and in passing
)


def num_parameters(model: ModelConfig) -> int:
    """Weights of a model, tied ones once."""
    return sum(part.count for part in count_parameters(model))


def memory_bytes(model: ModelConfig, training: TrainingConfig) -> int:
    """Bytes beyond those of the program itself: weights, what learning keeps, a window."""
    copies = 1 + COPIES_OF_ALL
    weights = num_parameters(model) * NUMBER * (lasting_numbers(training) * copies + 1)
    number = 2 if training.precision == "bfloat16" else NUMBER
    units = sum(model.layer_sizes) * (CELLS[model.cell].num_gates * COPIES_OF_GATES + 4) + 4 * (
        0 if model.embedding == "one-hot" else model.embedding_size
    )
    window = training.batch_size * training.bptt * units * number
    return weights + window


def lasting_numbers(training: TrainingConfig, moments: Mapping[str, int] = MOMENTS) -> int:
    """Return how many numbers are kept for each weight, itself included, from step to step."""
    averages = 0 if training.averaging == "none" else 1
    return 1 + moments[training.optimizer] + averages


def check_memory(model: ModelConfig, training: TrainingConfig, total_bytes: float) -> None:
    """Refuse a model that memory cannot hold, before it is built: Linux would kill the process.

    Raises:
        ConfigError: the weights alone, their gradients and what the optimizer keeps are too large.
    """
    weights = num_parameters(model)
    least = weights * NUMBER * (lasting_numbers(training, FEWEST_MOMENTS) + 1)
    if least > total_bytes:
        raise ConfigError(
            f"a model of {weights:,} parameters takes at least {least / 2**30:,.1f} GiB to train, "
            f"and this machine has {total_bytes / 2**30:,.1f} GiB; lower --hidden-size, "
            "--num-layers, --embedding-size or --vocab-size."
        )
