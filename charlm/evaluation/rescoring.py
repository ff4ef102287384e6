"""N-best lists ranked anew: the recogniser's scores with those of a language model.

    combined = score + scale * log P(text) + length_bonus * length

The scale balances two models that were never trained together; the bonus makes up for what every
word more costs in log P. HTK calls them grammar scale factor and word insertion penalty.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from charlm.data import NbestEntry
from charlm.errors import ConfigError
from charlm.evaluation.error_rate import Unit

LARGEST_WEIGHT = 1e100  # beyond it, combined scores overflow; tuning may well go beyond 1e6

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class RescoringConfig:
    """How much the language model says beside the recogniser.

    The default suits recognisers that give log-probabilities of whole texts, as CTC and attention
    models do: their scores know some language already, so the model has half a say. Those that add
    up a likelihood for every frame need more, often above 5. `minimize_errors` finds the best.
    """

    scale: float = 0.5  # of the model's log P
    length_bonus: float = 0.0  # nats for each word or character; below 0, a penalty

    def __post_init__(self) -> None:
        if not 0 <= self.scale <= LARGEST_WEIGHT:
            raise ConfigError(f"scale must be from 0 to {LARGEST_WEIGHT:g}, not {self.scale}.")
        if not abs(self.length_bonus) <= LARGEST_WEIGHT:
            raise ConfigError(
                f"length_bonus must be from {-LARGEST_WEIGHT:g} to {LARGEST_WEIGHT:g}, not "
                f"{self.length_bonus}."
            )


FIRST_PASS = RescoringConfig(scale=0.0)


@dataclass(frozen=True)
class NbestLists:
    """Hypotheses of all utterances in a row, those of an utterance together.

    The arrays are of shape (num_hypotheses,), `first` of shape (num_lists,).
    """

    scores: Floats  # the recogniser's, natural logarithms
    log_probs: Floats  # the language model's, nats
    lengths: Integers  # in words or characters
    first: NDArray[np.intp]  # where each list begins

    @cached_property
    def list_index(self) -> NDArray[np.intp]:
        """The list that each hypothesis is in, (num_hypotheses,)."""
        sizes = np.diff(self.first, append=len(self.scores))
        return np.repeat(np.arange(len(self.first)), sizes)

    def combined(self, config: RescoringConfig) -> Floats:
        """What hypotheses are ranked by, (num_hypotheses,)."""
        return self.scores + config.scale * self.log_probs + config.length_bonus * self.lengths

    def ranking(self, values: Floats) -> NDArray[np.intp]:
        """Indices of the hypotheses, best first in each list; equals stay in their order."""
        return np.lexsort((-values, self.list_index))

    def best(self, *values: Floats) -> NDArray[np.intp]:
        """The hypothesis of the highest value in each list, (num_lists,).

        Later values decide between equals of the earlier ones, in the end their order: with one
        value these are the first of the `ranking`.
        """
        leads = np.ones(len(self.scores), dtype=bool)
        for value in values:
            value = np.where(leads, value, -np.inf)
            leads &= value == np.maximum.reduceat(value, self.first)[self.list_index]
        indices = np.where(leads, np.arange(len(leads)), len(leads))
        return np.minimum.reduceat(indices, self.first)

    def total_errors(self, errors: Integers, config: RescoringConfig) -> int:
        """Errors of the hypotheses that rank first; `errors` has each one's."""
        return int(errors[self.best(self.combined(config))].sum())

    def oracle_errors(self, errors: Integers) -> int:
        """The fewest errors any ranking can have."""
        return int(np.minimum.reduceat(errors, self.first).sum())


def make_lists(entries: Sequence[NbestEntry], log_probs: Floats, lengths: Integers) -> NbestLists:
    """The lists that `read_nbest` gave, with a log P in nats and a length for each entry."""
    assert len(entries) == len(log_probs) == len(lengths) > 0
    utterances = groupby(range(len(entries)), key=lambda index: entries[index].utterance)
    return NbestLists(
        scores=np.array([entry.score for entry in entries], dtype=np.float64),
        log_probs=log_probs,
        lengths=lengths,
        first=np.array([next(indices) for _, indices in utterances], dtype=np.intp),
    )


RankingName = Literal["first pass", "rescored", "tuned", "oracle"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The errors of the hypotheses that rank first."""

    name: RankingName
    errors: int
    config: RescoringConfig | None  # what it ranks by; None: the oracle, by the references


@dataclass(frozen=True, slots=True)
class RescoringErrors:
    """Errors of several rankings, which add up over lists."""

    unit: Unit
    num_units: int  # words or characters of the references
    rankings: tuple[Ranking, ...]

    def rate(self, ranking: Ranking) -> float:
        """WER or CER: errors for each unit of the references; nan where they have none."""
        return ranking.errors / self.num_units if self.num_units else math.nan

    def to_dict(self) -> dict[str, Any]:
        """What JSON shows: the settings last used, then all rankings."""
        used = next(r.config for r in reversed(self.rankings) if r.config is not None)
        rankings = {
            ranking.name.replace(" ", "_"): {
                "errors": ranking.errors,
                "rate": self.rate(ranking) if self.num_units else None,
            }
            for ranking in self.rankings
        }
        return {**asdict(used), "unit": self.unit, "num_units": self.num_units, **rankings}


def measure_rankings(
    lists: NbestLists,
    errors: Integers,
    configs: Mapping[RankingName, RescoringConfig],
    unit: Unit,
    num_units: int,
) -> RescoringErrors:
    """The errors under each configuration, and the oracle's.

    Args:
        lists: the hypotheses.
        errors: of each, (num_hypotheses,).
        configs: what to rank by.
        unit: what errors are counted in.
        num_units: how many the references have, all together.
    """
    rankings = [
        Ranking(name, lists.total_errors(errors, config), config)
        for name, config in configs.items()
    ]
    oracle = Ranking("oracle", lists.oracle_errors(errors), None)
    return RescoringErrors(unit, num_units, (*rankings, oracle))
