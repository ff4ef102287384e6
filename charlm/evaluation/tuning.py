"""Grid search for the settings of dynamic evaluation and of the neural cache."""

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
MAX_STEPS_BACK = 8  # reductions of the first setting until one works


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial(Generic[Config]):
    """Settings and their result in nats per token; infinite if the settings do not work."""

    config: Config
    nats: float


def tune(
    measure: Callable[[Config], float], start: Config, factors: Mapping[str, float]
) -> Iterator[Trial[Config]]:
    """Change one setting at a time by its factor, up or down, while the result improves.

    If the start does not work, the first setting is reduced until it does, at most
    `MAX_STEPS_BACK` times. The search over all settings is repeated until none improves, at most
    `MAX_ROUNDS` times.

    Args:
        measure: returns nats per token of a text under the settings. A ConfigError or NaN counts
            as infinite.
        start: initial settings.
        factors: settings to change, by name, and the factor of one step of each.

    Yields:
        Every trial as it is made. The trial with the fewest nats is the result.
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
    """Return settings of the grid: those of `start` times powers of their factors.

    Returns None if a setting is out of range. Settings are always computed from `start`, so that
    equal powers give equal settings.
    """
    moved: dict[str, Any] = {}
    for name, power in powers.items():
        value = getattr(start, name) * factors[name] ** power
        whole = isinstance(getattr(start, name), int)
        moved[name] = round(value) if whole else float(f"{value:.6g}")  # short enough to type
    moved |= {name: getattr(start, name) for name, power in powers.items() if power == 0}
    if powers.get("size", 0) > 0 and moved["size"] > LARGEST_CACHE:
        return None
    try:
        return replace(start, **moved)
    except ConfigError:
        return None
