"""Number of weights of a model, computed from its configuration, with the formula."""

from dataclasses import dataclass

from charlm.cells import CELLS
from charlm.model.config import ModelConfig
from charlm.model.length import length_bounds


@dataclass(frozen=True, slots=True)
class PartCount:
    """Number of weights of one part of a model."""

    part: str  # as `LanguageModel.parameters_by_part` names it
    count: int
    formula: str  # with numbers, such as "4 x 1,026 x 512"


def count_parameters(config: ModelConfig) -> list[PartCount]:
    """Return the number of weights of each part that has any, in the order of the model.

    Tied weights count as the embedding's. A gate of H units with I inputs has I x H input weights,
    H x H recurrent weights and two biases per unit, as in torch and cuDNN: (I + H + 2) x H.
    """
    parts = [count_embedding(config)]
    parts.append(count_labels(config))
    parts += [count_layer(config, number) for number in range(config.num_layers)]
    if config.connect == "highway":
        gates, size = config.num_layers - 1, config.hidden_size
        parts.append(add_up("connections", (gates, size + 1, size)))
    return [part for part in (*parts, *count_head(config)) if part.count]


def count_embedding(config: ModelConfig) -> PartCount:
    """Count a row for each word, unless words are one-hot codes."""
    if config.embedding == "one-hot":
        return PartCount("embedding", 0, "0")
    return add_up("embedding", (config.vocab_size, config.embedding_size))


def count_labels(config: ModelConfig) -> PartCount:
    """Count an initial state for each label, if labels set the initial state."""
    if config.label not in ("state", "both"):
        return PartCount("labels", 0, "0")
    states = CELLS[config.cell].num_states * sum(config.layer_sizes)
    return add_up("labels", (config.num_labels, states))


def count_layer(config: ModelConfig, number: int) -> PartCount:
    """Count the gates of a layer, the other weights of its cell, and its transition."""
    inputs, size = config.input_sizes[number], config.layer_sizes[number]
    gates, words = CELLS[config.cell].num_gates, config.vocab_size
    feeds_back = words if config.cell == "jordan" else size
    own: dict[str, tuple[int, ...]] = {
        "elman-jordan": (words, size),
        "leaky-learned": (size,),
        "lstm-peephole": (3, size),
    }
    terms: list[tuple[int, ...]] = [(gates, inputs + feeds_back + 2, size)]
    if config.cell in own:
        terms.append(own[config.cell])
    if config.mogrifier_steps:
        terms.append((config.mogrifier_steps, inputs, size))
    if config.transition_depth > 1:
        terms.append((config.transition_depth - 1, size + 1, size))
    return add_up(f"layer {number}", *terms)


def count_head(config: ModelConfig) -> list[PartCount]:
    """Count the head, its clusters, the halting unit and the probabilities of lengths.

    Each word, cluster and halting unit has a row and a bias; rows of words may be tied.
    """
    size = 0 if config.tie_embeddings else config.output_size
    head = add_up("head", (config.vocab_size, size + 1))
    clusters, halts = len(config.softmax_cutoffs), int(config.stop_by == "halt")
    size, ranges = config.output_size + 1, len(length_bounds()) - 1
    foretold = add_up("lengths", (int(config.stop_by == "length"), ranges))
    halting = add_up("halting unit", (halts, size))
    return [head, add_up("clusters", (clusters, size)), halting, foretold]


def add_up(part: str, *terms: tuple[int, ...]) -> PartCount:
    """Return the sum of the products `terms`; the formula leaves out factors of 1."""
    count, written = 0, []
    for factors in terms:
        product = 1
        for factor in factors:
            product *= factor
        count += product
        written.append(" x ".join(f"{f:,}" for f in factors if f != 1) or "1")
    return PartCount(part, count, " + ".join(written))
