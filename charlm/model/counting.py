"""How many weights a model has, by arithmetic alone, and the formula that says so."""

from dataclasses import dataclass

from charlm.cells import CELLS
from charlm.model.config import ModelConfig
from charlm.model.length import length_bounds


@dataclass(frozen=True, slots=True)
class PartCount:
    """The weights of one part of a model."""

    part: str  # as `LanguageModel.parameters_by_part` names it
    count: int
    formula: str  # in the numbers themselves


def count_parameters(config: ModelConfig) -> list[PartCount]:
    """The weights of each part, in the model's order; tied ones count as the embedding's.

    A gate of H units with I inputs has I x H weights of its inputs, H x H of the units and two
    biases a unit, as torch and cuDNN have them: (I + H + 2) x H.
    """
    parts = [count_embedding(config)]
    parts.append(count_labels(config))
    parts += [count_layer(config, number) for number in range(config.num_layers)]
    if config.connect == "highway":
        gates, size = config.num_layers - 1, config.hidden_size
        parts.append(add_up("connections", (gates, size + 1, size)))
    return [part for part in (*parts, *count_head(config)) if part.count]


def count_embedding(config: ModelConfig) -> PartCount:
    """A row for each word, unless words are one-hot codes."""
    if config.embedding == "one-hot":
        return PartCount("embedding", 0, "0")
    return add_up("embedding", (config.vocab_size, config.embedding_size))


def count_labels(config: ModelConfig) -> PartCount:
    """An initial state for each label, if labels enter so."""
    if config.label not in ("state", "both"):
        return PartCount("labels", 0, "0")
    states = CELLS[config.cell].num_states * sum(config.layer_sizes)
    return add_up("labels", (config.num_labels, states))


def count_layer(config: ModelConfig, number: int) -> PartCount:
    """A layer's gates, what its cell has besides them, and its transition."""
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
    """A row, if it is not the embedding's, and a bias for each word and each cluster."""
    size = 0 if config.tie_embeddings else config.output_size
    head = add_up("head", (config.vocab_size, size + 1))
    clusters, halts = len(config.softmax_cutoffs), int(config.stop_by == "halt")
    size, ranges = config.output_size + 1, len(length_bounds()) - 1
    foretold = add_up("lengths", (int(config.stop_by == "length"), ranges))
    halting = add_up("halting unit", (halts, size))
    return [head, add_up("clusters", (clusters, size)), halting, foretold]


def add_up(part: str, *terms: tuple[int, ...]) -> PartCount:
    """Products, added up; a factor of 1 is left out of the formula."""
    count, written = 0, []
    for factors in terms:
        product = 1
        for factor in factors:
            product *= factor
        count += product
        written.append(" x ".join(f"{f:,}" for f in factors if f != 1) or "1")
    return PartCount(part, count, " + ".join(written))
