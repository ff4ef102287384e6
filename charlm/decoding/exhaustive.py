"""Exhaustive search over all texts, for small vocabularies and short texts."""

import math
from collections.abc import Iterator, Sequence

import torch

from charlm.decoding.batch import Batch
from charlm.decoding.beam import best_entries, found_texts
from charlm.decoding.config import DecodingConfig
from charlm.decoding.hypothesis import Hypothesis, Node
from charlm.decoding.rules import Rules
from charlm.device import arithmetic
from charlm.errors import ConfigError
from charlm.model import StepModel

MAX_TEXTS = 1_000_000
MAX_DIGITS = 12  # counts with more digits are only estimated
CHUNK = 512  # hypotheses that advance together


def exhaustive_search(
    model: StepModel, prompt: Sequence[int], config: DecodingConfig, rules: Rules
) -> list[Hypothesis]:
    """Return the `num_return_sequences` best of all continuations, best first.

    They are scored as in beam search: log P / length ** length_penalty.

    Raises:
        ConfigError: there are more than a million continuations, or none.
    """
    check_count(config, rules)
    batch = Batch(model, [prompt], config, rules)
    best: list[Node] = []
    for node in all_texts(batch, config, rules):
        best.append(node)
        if len(best) > config.num_return_sequences + CHUNK:
            best = found_texts(best)[: config.num_return_sequences]
    return [node.hypothesis(rules) for node in found_texts(best)[: config.num_return_sequences]]


def check_count(config: DecodingConfig, rules: Rules) -> None:
    """Check that the number of texts does not exceed `MAX_TEXTS`.

    Raises:
        ConfigError: there are more than a million texts.
    """
    symbols = num_symbols(rules)
    digits = config.max_new_tokens * math.log10(max(symbols, 1))
    if digits < MAX_DIGITS and (count := count_texts(config, rules)) <= MAX_TEXTS:
        return
    words = f"{count:,}" if digits < MAX_DIGITS else f"about 10^{math.floor(digits)}"
    raise ConfigError(
        f"there are {words} texts of up to {config.max_new_tokens} tokens, and --exhaustive looks "
        f"at {MAX_TEXTS:,} at most; lower --max-new-tokens, or use --beam."
    )


def num_symbols(rules: Rules) -> int:
    """Return the number of tokens that a text may contain, without `<stop>`."""
    return rules.vocab_size - len({*rules.barred, rules.stop_id})


def count_texts(config: DecodingConfig, rules: Rules) -> int:
    """Return the number of texts: those that end with `<stop>` and those cut off at the end.

    It is an upper bound: stop strings and banned strings may leave fewer.
    """
    symbols = num_symbols(rules)
    shortest, longest = config.min_new_tokens, config.max_new_tokens
    cut_off: int = symbols**longest
    if rules.stop_id in rules.barred:
        return cut_off
    if symbols == 1:
        return cut_off + longest - shortest
    # symbols ** shortest + ... + symbols ** (longest - 1)
    stopped: int = (symbols**longest - symbols**shortest) // (symbols - 1)
    return cut_off + stopped


def all_texts(batch: Batch, config: DecodingConfig, rules: Rules) -> Iterator[Node]:
    """Yield the last node of every text.

    Of the texts cut off at the maximum length, each chunk yields only the best
    `num_return_sequences`.
    """
    chunks = list(extend(batch, [Node.root(rules)], config, rules))
    while chunks:
        before, rows, nodes = chunks.pop()
        if rows is None:
            yield from nodes
            continue
        with arithmetic():
            after = before.branch(torch.tensor([node.token for node in nodes]), rows)
        chunks += extend(after, nodes, config, rules)


def extend(
    batch: Batch, nodes: list[Node], config: DecodingConfig, rules: Rules
) -> Iterator[tuple[Batch, list[int] | None, list[Node]]]:
    """Yield all continuations of `nodes`, the rows of `batch`, by one token.

    The first item holds the finished texts, with None for the rows. The others hold up to `CHUNK`
    nodes that continue, each with the row of its parent.
    """
    length = nodes[0].length + 1
    last = length == config.max_new_tokens
    with arithmetic():
        log_probs = batch.allowed_log_probs()
        totals = (log_probs + log_probs.new_tensor([[node.log_prob] for node in nodes])).flatten()
        best = best_entries(totals, config.num_return_sequences if last else len(totals))
    texts: list[Node] = []
    going: list[tuple[int, Node]] = []
    for total, place in best:
        row, token = divmod(place, rules.vocab_size)
        node = nodes[row].follow(token, total, total / length**config.length_penalty, rules)
        if last or node.stopped:
            texts.append(node)
        else:
            going.append((row, node))
    yield batch, None, texts
    for start in range(0, len(going), CHUNK):
        rows, chunk = zip(*going[start : start + CHUNK], strict=True)
        yield batch, list(rows), list(chunk)
