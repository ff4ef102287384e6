"""Exhaustive search: every text there is, where there are not too many."""

import math
from collections.abc import Iterator, Sequence

import torch

from charlm.decoding.batch import Batch
from charlm.decoding.beam import best_places
from charlm.decoding.config import DecodingConfig
from charlm.decoding.hypothesis import Hypothesis, Node
from charlm.decoding.rules import Rules
from charlm.device import arithmetic
from charlm.errors import ConfigError
from charlm.model import StepModel

MAX_TEXTS = 1_000_000
CHUNK = 512  # texts that take a step together


def exhaustive_search(
    model: StepModel, prompt: Sequence[int], config: DecodingConfig, rules: Rules
) -> list[Hypothesis]:
    """The `num_return_sequences` best of all continuations, best first.

    They are scored as in beam search: log P / length ** length_penalty.

    Raises:
        ConfigError: there are more than a million, or none.
    """
    count = count_texts(config, rules)
    if count > MAX_TEXTS:
        raise ConfigError(
            f"there are {in_words(count)} texts of up to {config.max_new_tokens} tokens, and "
            f"--exhaustive looks at {MAX_TEXTS:,} at most; lower --max-new-tokens, or use --beam."
        )
    batch = Batch(model, [prompt], config, rules)
    best: list[Node] = []
    for node in all_texts(batch, [Node.root(rules)], config, rules):
        best.append(node)
        if len(best) > config.num_return_sequences + CHUNK:
            best = best_first(best, config)
    if not best:
        raise ConfigError("no text is left; loosen --ban or --no-repeat-ngram-size.")
    return [node.hypothesis(rules) for node in best_first(best, config)]


def count_texts(config: DecodingConfig, rules: Rules) -> int:
    """How many texts there are: those that end with `<stop>`, and those cut off.

    What depends on the text, such as a stop string or a banned one, may leave fewer.
    """
    may_stop = rules.stop_id not in rules.barred
    symbols = rules.vocab_size - len({*rules.barred, rules.stop_id})
    shortest, longest = config.min_new_tokens, config.max_new_tokens
    cut_off: int = symbols**longest
    if not may_stop:
        return cut_off
    if symbols == 1:
        return cut_off + longest - shortest
    # symbols ** shortest + ... + symbols ** (longest - 1)
    stopped: int = (symbols**longest - symbols**shortest) // (symbols - 1)
    return cut_off + stopped


def all_texts(
    batch: Batch, nodes: list[Node], config: DecodingConfig, rules: Rules
) -> Iterator[Node]:
    """The ends of all texts that begin like one of `nodes`, the rows of `batch`.

    Of those cut off at the same length only the best are made, as many as are wanted.
    """
    length = nodes[0].length + 1
    last = length == config.max_new_tokens
    with arithmetic():
        log_probs = batch.allowed_log_probs()
        totals = (log_probs + log_probs.new_tensor([[node.log_prob] for node in nodes])).flatten()
    wanted = config.num_return_sequences if last else len(totals)
    going: list[tuple[int, Node]] = []
    places = best_places(totals, wanted)
    for place, total in zip(places, totals[places].tolist(), strict=True):
        row, token = divmod(place, rules.vocab_size)
        node = nodes[row].follow(token, total, total / length**config.length_penalty, rules)
        if last or node.stopped:
            yield node
        else:
            going.append((row, node))
    for start in range(0, len(going), CHUNK):
        chunk = going[start : start + CHUNK]
        with arithmetic():
            tokens = torch.tensor([node.token for _, node in chunk])
            below = batch.branch(tokens, [row for row, _ in chunk])
        yield from all_texts(below, [node for _, node in chunk], config, rules)


def best_first(nodes: list[Node], config: DecodingConfig) -> list[Node]:
    """As many as are wanted."""
    nodes = sorted(nodes, key=lambda node: node.score, reverse=True)
    return nodes[: config.num_return_sequences]


def in_words(count: int) -> str:
    """A number as people write it."""
    return f"{count:,}" if count < 10**12 else f"about 10^{math.floor(math.log10(count))}"
