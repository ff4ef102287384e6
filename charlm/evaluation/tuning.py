"""Settings of dynamic evaluation and of the cache that suit a text best: a walk over a grid."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Generic, TypeVar

from charlm.errors import ConfigError
from charlm.evaluation.cache import CacheConfig
from charlm.evaluation.dynamic import DynamicConfig

Config = TypeVar("Config", CacheConfig, DynamicConfig)

DYNAMIC_FACTORS = {"learning_rate": 2.0, "decay": 4.0}
CACHE_FACTORS = {"flatness": 2.0, "weight": 1.6, "size": 4.0}
LARGEST_CACHE = 8000
MAX_ROUNDS = 3
MAX_STEPS_BACK = 8  # in search of a beginning that works


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial(Generic[Config]):
    """Settings and what they gave, in nats per token; infinite where they do not work."""

    config: Config
    nats: float


def tune(
    measure: Callable[[Config], float], start: Config, factors: Mapping[str, float]
) -> Iterator[Trial[Config]]:
    """Try settings, one at a time up or down by its factor for as long as that helps.

    Where the start does not work, the first setting is lowered until it does.

    Args:
        measure: nats per token of a text under the settings; a ConfigError counts as infinite.
        start: settings to begin at.
        factors: which of them to change, and by how much.

    Yields:
        Every trial as it is made; the best of them all is the result.
    """
    tried: dict[Config, float] = {}

    def attempt(config: Config) -> Iterator[Trial[Config]]:
        if config not in tried:
            try:
                tried[config] = measure(config)
            except ConfigError:
                tried[config] = math.inf
            if math.isnan(tried[config]):
                tried[config] = math.inf
            yield Trial(config=config, nats=tried[config])

    best, powers = start, dict.fromkeys(factors, 0)
    yield from attempt(best)
    first = next(iter(factors), "")
    while first and math.isinf(tried[best]) and powers[first] > -MAX_STEPS_BACK:
        powers[first] -= 1
        neighbour = scaled(start, factors, powers)
        if neighbour is None:
            return
        best = neighbour
        yield from attempt(best)
    for _ in range(MAX_ROUNDS if math.isfinite(tried[best]) else 0):
        round_began = best
        for name, direction in product(factors, (1, -1)):
            while True:
                further = powers | {name: powers[name] + direction}
                neighbour = scaled(start, factors, further)
                if neighbour is None:
                    break
                yield from attempt(neighbour)
                if tried[neighbour] >= tried[best]:
                    break
                best, powers = neighbour, further
        if best == round_began:
            break


def scaled(start: Config, factors: Mapping[str, float], powers: Mapping[str, int]) -> Config | None:
    """Settings of the grid: the start's times powers of their factors; None out of their range.

    They are computed from the start each time, so that coming back to a place gives the same ones.
    """
    moved: dict[str, Any] = {}
    for name, power in powers.items():
        value = getattr(start, name) * factors[name] ** power
        whole = isinstance(getattr(start, name), int)
        moved[name] = round(value) if whole else float(f"{value:.6g}")  # what can be typed again
    moved |= {name: getattr(start, name) for name, power in powers.items() if power == 0}
    if powers.get("size", 0) > 0 and moved["size"] > LARGEST_CACHE:
        return None
    try:
        return replace(start, **moved)
    except ConfigError:
        return None
