"""Planning rules from measured runs: width, length and regularization for a text.

`benchmarks/plan` lists the runs behind these numbers and repeats them.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from charlm.device import Precision
from charlm.errors import ConfigError
from charlm.model import NUM_SPECIALS, CellName, ModelConfig, StopName, default_cutoffs
from charlm.text import Level
from charlm.training.config import OptimizerName, ScheduleName, TrainingConfig

HIDDEN_SIZES = (1024, 768, 512, 256, 128)
MIN_STEPS, MIN_STEPS_WORDS = 1500, 3000  # with these, a larger model is worth its slower steps
SMALL = 300_000  # tokens; a model soon memorizes a text of fewer
MAX_EPOCHS, MAX_EPOCHS_SMALL, MAX_EPOCHS_SMALL_WORDS = 20, 12, 5
HARDLY_SEEN, FEW_EPOCHS, OFTEN_SEEN = 2, 4, 8  # epochs, for a model of USUAL_SIZE
USUAL_SIZE = 512
FEW_EPOCHS_WORDS, OFTEN_SEEN_WORDS = 1.5, 6  # epochs; words are memorized sooner
RATES = ((640, 5e-3), (768, 4e-3), (math.inf, 3e-3))  # up to each hidden size
# A mogrifier that started from a zero state only once may block its inputs for good when it starts
# from one again. The authors' code resets states with the same probability.
MOGRIFIED_RESET = 0.01
MOGRIFIED = 0.4  # factor of the rate for mogrifiers, where input and state are multiplied
MIN_BFLOAT16_SIZE = 128  # for less, conversions take the time that the products save
MANY_WORDS = 5_000  # outputs from which on adaptive softmax is faster


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Inputs to the planner: corpus and machine."""

    level: Level
    vocab_size: int
    num_tokens: int  # of the training part
    num_valid_tokens: int
    num_windows: Callable[[TrainingConfig], int]  # per epoch
    has_bfloat16: bool = False  # whether it is known to be faster on the device
    free_bytes: float = math.inf  # of the device's memory
    spent_seconds: float = 0.0  # of the time budget, on reading and encoding


def hidden_sizes(facts: Facts) -> list[int]:
    """Return the hidden sizes to try, widest first; the widest depends on the size of the text."""
    limits = ((20_000, 256), (SMALL, 512), (2_000_000, 768))
    largest = next((size for limit, size in limits if facts.num_tokens < limit), 1024)
    return [size for size in HIDDEN_SIZES if size <= largest]


def min_steps(facts: Facts) -> int:
    """Return the number of steps that a model must get to be worth its width."""
    return MIN_STEPS_WORDS if facts.level == "word" else MIN_STEPS


def softmax(facts: Facts, cell: CellName, stop_by: StopName) -> dict[str, Any]:
    """Return the softmax settings: adaptive for large vocabularies of words, otherwise full.

    Most words are rare, so an adaptive softmax is faster. Other vocabularies are small. Only a full
    softmax computes all outputs, which Jordan networks feed back; it is also required by every
    `stop_by` except "symbol".
    """
    needs_all = stop_by != "symbol" or cell in ("jordan", "elman-jordan")
    if facts.level != "word" or facts.vocab_size < MANY_WORDS or needs_all:
        return {"softmax": "full"}
    return adaptive_softmax(facts.vocab_size)


def adaptive_softmax(vocab_size: int) -> dict[str, Any]:
    """Return the settings of an adaptive softmax with the default cutoffs.

    Raises:
        ConfigError: the vocabulary has fewer than 2 symbols.
    """
    if vocab_size < NUM_SPECIALS + 2:
        raise ConfigError(
            f"--softmax adaptive needs at least 2 symbols, and the text has "
            f"{vocab_size - NUM_SPECIALS}; leave it out."
        )
    return {"softmax": "adaptive", "softmax_cutoffs": default_cutoffs(vocab_size)}


def precision(facts: Facts, model: ModelConfig) -> Precision:
    """Return bfloat16 if the device is faster in it and the model is wide enough, else float32."""
    fast = facts.has_bfloat16 and model.hidden_size >= MIN_BFLOAT16_SIZE
    return "bfloat16" if fast else "float32"


def batch_size(facts: Facts, bptt: int) -> int:
    """Return the number of streams, a power of two up to 32.

    A small text is cut into fewer streams, so that an epoch still has about 100 steps.
    """
    streams = max(1, min(32, facts.num_tokens // (100 * max(1, bptt))))
    return 1 << (streams.bit_length() - 1)


def bptt(facts: Facts) -> int:
    """Return the number of tokens per window.

    With short windows of words, most of the time goes to the optimizer, which updates the whole
    embedding.
    """
    if facts.level != "word":
        return 64
    return 35 if facts.num_tokens < SMALL else 70


def learning_rate(facts: Facts, model: ModelConfig, optimizer: OptimizerName) -> float:
    """Return the peak learning rate."""
    if optimizer == "sgd":
        # For words, Zaremba et al. 2014 start at 1, Merity et al. 2018 at 30.
        return 20.0 if facts.level == "word" else 5.0
    rate = next(rate for size, rate in RATES if model.hidden_size <= size)
    return rate * MOGRIFIED if model.mogrifier_steps else rate


def state_reset(model: ModelConfig) -> float:
    """Return the probability that a stream's state is reset before a window."""
    told = model.stop_by == "length"  # a reset would also discard the length
    return MOGRIFIED_RESET if model.mogrifier_steps and not told else 0.0


def clip_norm(facts: Facts, optimizer: OptimizerName) -> float:
    """Return the maximum norm of all gradients together.

    With the high learning rates of SGD, this norm limits the size of a step. A character model
    learns only the frequencies of characters while its gradients are clipped.
    """
    if optimizer != "sgd":
        return 1.0
    return 0.25 if facts.level == "word" else 5.0


def schedule(given: Mapping[str, Any]) -> ScheduleName:
    """Return "constant" for a time budget or a given `decay_share`, otherwise "cosine".

    With "constant", the number of steps can be fitted to a time during the run.
    """
    by_time = not {"steps", "epochs"} & given.keys()
    return "constant" if by_time or "decay_share" in given else "cosine"


def regularisation(facts: Facts, num_epochs: float, hidden_size: int) -> dict[str, float]:
    """Return the dropout settings; more epochs require more dropout.

    A wider model memorizes characters sooner, so its epochs count in proportion to its width.
    """
    if facts.level == "word":
        if num_epochs < FEW_EPOCHS_WORDS:
            return {"dropout": 0.2}
        if num_epochs < OFTEN_SEEN_WORDS:
            return {"dropout": 0.5}
        return {"dropout": 0.5, "embedding_dropout": 0.1, "weight_dropout": 0.3}
    num_epochs *= hidden_size / USUAL_SIZE
    if num_epochs < FEW_EPOCHS:
        return {"dropout": 0.0 if num_epochs < HARDLY_SEEN else 0.1}
    strict = facts.num_tokens < SMALL or num_epochs >= OFTEN_SEEN
    return {"dropout": 0.5 if strict else 0.3}


def max_epochs(facts: Facts) -> int:
    """Return the maximum number of epochs; more passes over a text of this size overfit."""
    if facts.num_tokens >= SMALL:
        return MAX_EPOCHS
    return MAX_EPOCHS_SMALL_WORDS if facts.level == "word" else MAX_EPOCHS_SMALL
