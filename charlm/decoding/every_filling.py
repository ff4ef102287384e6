"""Every way to fill the blanks of a text, where there are not too many to rank them all."""

from collections.abc import Collection, Iterator, Sequence
from itertools import product

from charlm.decoding.filling import Filled, FillingConfig, Ids, Rank, join

MAX_RANKED = 1 << 17  # texts held at a time


def count_fillings(
    num_symbols: int, first_symbols: Sequence[int], config: FillingConfig
) -> int | None:
    """Return how many ways there are to fill all blanks; None: more than are ever ranked.

    Args:
        num_symbols: symbols that a filling may hold.
        first_symbols: of each blank, symbols that a filling may begin with.
        config: how long a filling may be.
    """
    total = 1
    for first in first_symbols:
        ways = longest = first
        for _ in range(config.max_blank_tokens - 1):
            longest *= num_symbols
            ways += longest
            if ways > MAX_RANKED:
                return None
        total *= ways
        if total > MAX_RANKED:
            return None
    return total


def rank_every_filling(
    parts: Sequence[Ids],
    symbols: Sequence[int],
    begins_not: Sequence[Collection[int]],
    rank: Rank,
    config: FillingConfig,
) -> list[Filled]:
    """Rank all ways to fill the blanks, the most probable first.

    Args:
        parts: what stands around the blanks, one more than there are.
        symbols: tokens that a filling may hold.
        begins_not: of each blank, tokens that no filling begins with.
        rank: gives log P of whole texts.
        config: how long a filling may be.
    """
    choices = [list(fillings_of(symbols, barred, config)) for barred in begins_not]
    found = list(product(*choices))
    log_probs = rank([join(parts, fillings) for fillings in found])
    filled = [Filled(*pair) for pair in zip(found, map(float, log_probs), strict=True)]
    return sorted(filled, key=lambda each: (-each.log_prob, each.fillings))


def fillings_of(
    symbols: Sequence[int], begins_not: Collection[int], config: FillingConfig
) -> Iterator[Ids]:
    """All fillings of one blank."""
    barred = set(begins_not)
    first = [symbol for symbol in symbols if symbol not in barred]
    for length in range(config.max_blank_tokens):
        for begin, rest in product(first, product(symbols, repeat=length)):
            yield (begin, *rest)
