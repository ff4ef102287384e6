"""What measured runs say: how wide, how long and how strictly to train on a text.

`benchmarks/plan` holds the runs behind these numbers, and repeats them.
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
MIN_STEPS, MIN_STEPS_WORDS = 1500, 3000  # a larger model is worth its slower steps if it gets these
SMALL = 300_000  # tokens; below, a model soon knows the text by heart
MAX_EPOCHS, MAX_EPOCHS_SMALL, MAX_EPOCHS_SMALL_WORDS = 20, 12, 5
HARDLY_SEEN, FEW_EPOCHS, OFTEN_SEEN = 2, 4, 8  # epochs of a model of the usual size
USUAL_SIZE = 512
FEW_EPOCHS_WORDS, OFTEN_SEEN_WORDS = 1.5, 6  # words are learnt by heart sooner
RATES = ((640, 5e-3), (768, 4e-3), (math.inf, 3e-3))  # by hidden size
# A mogrifier that began at zero but once may shut its inputs out when it begins there again, and
# never read them any more; the authors' code forgets as often.
MOGRIFIED_RESET = 0.01
MOGRIFIED = 0.4  # of the rate, where input and state multiply one another
MIN_BFLOAT16_SIZE = 128  # below, conversions eat what the faster products give
MANY_WORDS = 5_000  # outputs from which adaptive softmax is the faster one


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What the plan goes by."""

    level: Level
    vocab_size: int
    num_tokens: int  # of the training part
    num_valid_tokens: int
    num_windows: Callable[[TrainingConfig], int]  # of an epoch
    has_bfloat16: bool = False  # whether the device computes in it
    free_bytes: float = math.inf  # of the device's memory
    spent_seconds: float = 0.0  # of the budget, on reading and encoding


def hidden_sizes(facts: Facts) -> list[int]:
    """The widths worth trying, the widest that this much text can teach first."""
    limits = ((20_000, 256), (SMALL, 512), (2_000_000, 768))
    largest = next((size for limit, size in limits if facts.num_tokens < limit), 1024)
    return [size for size in HIDDEN_SIZES if size <= largest]


def min_steps(facts: Facts) -> int:
    """How many steps a model must get to be worth its width."""
    return MIN_STEPS_WORDS if facts.level == "word" else MIN_STEPS


def softmax(facts: Facts, cell: CellName, stop_by: StopName) -> dict[str, Any]:
    """Words are many and mostly rare: adaptive softmax pays. Other vocabularies are small.

    What a Jordan network feeds back is all outputs, which only a full softmax computes; so do
    other ways to stop than by a symbol.
    """
    needs_all = stop_by != "symbol" or cell in ("jordan", "elman-jordan")
    if facts.level != "word" or facts.vocab_size < MANY_WORDS or needs_all:
        return {"softmax": "full"}
    return adaptive_softmax(facts.vocab_size)


def adaptive_softmax(vocab_size: int) -> dict[str, Any]:
    """Cut where it costs least.

    Raises:
        ConfigError: there are too few symbols to cut.
    """
    if vocab_size < NUM_SPECIALS + 2:
        raise ConfigError(
            f"--softmax adaptive needs at least 2 symbols, and the text has "
            f"{vocab_size - NUM_SPECIALS}; leave it out."
        )
    return {"softmax": "adaptive", "softmax_cutoffs": default_cutoffs(vocab_size)}


def precision(facts: Facts, model: ModelConfig) -> Precision:
    """bfloat16 where the device computes in it and the model is large enough to gain."""
    fast = facts.has_bfloat16 and model.hidden_size >= MIN_BFLOAT16_SIZE
    return "bfloat16" if fast else "float32"


def batch_size(facts: Facts, bptt: int) -> int:
    """Streams: a small text is cut into fewer, so that an epoch still has some 100 steps."""
    streams = max(1, min(32, facts.num_tokens // (100 * max(1, bptt))))
    return 1 << (streams.bit_length() - 1)


def bptt(facts: Facts) -> int:
    """Tokens a window. Short windows of words are all optimiser: it updates the whole embedding."""
    if facts.level != "word":
        return 64
    return 35 if facts.num_tokens < SMALL else 70


def learning_rate(facts: Facts, model: ModelConfig, optimizer: OptimizerName) -> float:
    """At its height."""
    if optimizer == "sgd":
        # Of words Zaremba et al. 2014 begin at 1, Merity et al. 2018 at 30.
        return 20.0 if facts.level == "word" else 5.0
    rate = next(rate for size, rate in RATES if model.hidden_size <= size)
    return rate * MOGRIFIED if model.mogrifier_steps else rate


def state_reset(model: ModelConfig) -> float:
    """How often a stream forgets where it is."""
    told = model.stop_by == "length"  # which would be forgotten as well
    return MOGRIFIED_RESET if model.mogrifier_steps and not told else 0.0


def clip_norm(facts: Facts, optimizer: OptimizerName) -> float:
    """Of all gradients together; with SGD's rates it is what bounds a step.

    Characters learn nothing but their frequencies while it binds.
    """
    if optimizer != "sgd":
        return 1.0
    return 0.25 if facts.level == "word" else 5.0


def schedule(given: Mapping[str, Any]) -> ScheduleName:
    """The one that lets the steps be fitted to a time as the run goes, where that is asked for."""
    by_time = not {"steps", "epochs"} & given.keys()
    return "constant" if by_time or "decay_share" in given else "cosine"


def regularisation(facts: Facts, num_epochs: float, hidden_size: int) -> dict[str, float]:
    """How strictly: the more often the text will be seen, the more is dropped.

    A wider model knows characters by heart sooner: its epochs count for more.
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
    """How often a text of this size is worth being seen."""
    if facts.num_tokens >= SMALL:
        return MAX_EPOCHS
    return MAX_EPOCHS_SMALL_WORDS if facts.level == "word" else MAX_EPOCHS_SMALL
