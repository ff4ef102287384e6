"""Exact filling of blanks: enumerate all fillings, if there are few enough, and rank them."""

from collections.abc import Collection, Iterator, Sequence
from itertools import product

from charlm.decoding.filling import Filled, FillingConfig, Ids, Rank, join

MAX_RANKED = 1 << 17  # maximum number of fillings, all held in memory


def count_fillings(
    num_symbols: int, first_symbols: Sequence[int], config: FillingConfig
) -> int | None:
    """Return the number of ways to fill all blanks; None if it exceeds `MAX_RANKED`.

    Args:
        num_symbols: number of tokens that a filling may contain.
        first_symbols: number of tokens that may begin the filling of each blank.
        config: sets the maximum length of a filling.
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
    """Return all ways to fill the blanks, the most probable first.

    Args:
        parts: tokens around the blanks, one part more than there are blanks.
        symbols: tokens that a filling may contain.
        begins_not: tokens that may not begin the filling of each blank.
        rank: returns log P of whole texts.
        config: sets the maximum length of a filling.
    """
    choices = [list(fillings_of(symbols, barred, config)) for barred in begins_not]
    found = list(product(*choices))
    log_probs = rank([join(parts, fillings) for fillings in found])
    filled = [Filled(*pair) for pair in zip(found, map(float, log_probs), strict=True)]
    return sorted(filled, key=lambda each: (-each.log_prob, each.fillings))


def fillings_of(
    symbols: Sequence[int], begins_not: Collection[int], config: FillingConfig
) -> Iterator[Ids]:
    """Yield all fillings of one blank, of 1 to `max_blank_tokens` tokens, the shortest first."""
    barred = set(begins_not)
    first = [symbol for symbol in symbols if symbol not in barred]
    for length in range(config.max_blank_tokens):
        for begin, rest in product(first, product(symbols, repeat=length)):
            yield (begin, *rest)
