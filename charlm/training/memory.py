"""How much memory training takes, without building the model."""

from charlm.cells import CELLS
from charlm.model import ModelConfig, count_parameters
from charlm.training.config import TrainingConfig

NUMBER = 4  # bytes of a float32
MOMENTS = {"adamw": 2, "muon": 2, "sgd": 0}  # numbers an optimiser keeps for a weight, at most
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
    averages = 0 if training.averaging == "none" else 1
    lasting = 1 + MOMENTS[training.optimizer] + averages
    weights = num_parameters(model) * NUMBER * (lasting * (1 + COPIES_OF_ALL) + 1)
    number = 2 if training.precision == "bfloat16" else NUMBER
    units = sum(model.layer_sizes) * (CELLS[model.cell].num_gates * COPIES_OF_GATES + 4) + 4 * (
        0 if model.embedding == "one-hot" else model.embedding_size
    )
    window = training.batch_size * training.bptt * units * number
    return weights + window
