"""N-best rescoring: the recogniser's scores combined with those of a language model.

    combined = score + scale * log P(text) + length_bonus * length

The scale balances two models that were trained separately. The length bonus compensates for the
lower log P of longer texts. HTK calls them grammar scale factor and word insertion penalty.
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

LARGEST_WEIGHT = 1e100  # combined scores overflow above it; tuning can exceed 1e6

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class RescoringConfig:
    """Weights of the language model and of the text length in the combined score.

    The default suits recognisers whose scores are log probabilities of whole texts, such as CTC and
    attention models. Their scores already include some language knowledge, so the scale is 0.5.
    Recognisers that add up a likelihood for every frame need a larger scale, often above 5.
    `minimize_errors` tunes both.
    """

    scale: float = 0.5  # of the model's log P
    length_bonus: float = 0.0  # nats per word or character; negative: a penalty

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
    """N-best lists of all utterances, concatenated.

    Arrays are (num_hypotheses,), except `first`, which is (num_lists,).
    """

    scores: Floats  # of the recogniser, natural logarithms
    log_probs: Floats  # of the language model, in nats
    lengths: Integers  # in words or characters
    first: NDArray[np.intp]  # index of the first hypothesis of each list

    @cached_property
    def list_index(self) -> NDArray[np.intp]:
        """Index of the list of each hypothesis, (num_hypotheses,)."""
        sizes = np.diff(self.first, append=len(self.scores))
        return np.repeat(np.arange(len(self.first)), sizes)

    def combined(self, config: RescoringConfig) -> Floats:
        """Return the combined scores by which hypotheses are ranked, (num_hypotheses,)."""
        return self.scores + config.scale * self.log_probs + config.length_bonus * self.lengths

    def ranking(self, values: Floats) -> NDArray[np.intp]:
        """Return the indices of the hypotheses, the best of each list first.

        Hypotheses with equal values keep their order. The result is (num_hypotheses,).
        """
        return np.lexsort((-values, self.list_index))

    def best(self, *values: Floats) -> NDArray[np.intp]:
        """Return the index of the hypothesis with the highest value in each list, (num_lists,).

        Each further array of values breaks ties of the arrays before it; remaining ties go to the
        first hypothesis. With one array the result is the first of each list in `ranking`.
        """
        leads = np.ones(len(self.scores), dtype=bool)
        for value in values:
            value = np.where(leads, value, -np.inf)
            leads &= value == np.maximum.reduceat(value, self.first)[self.list_index]
        indices = np.where(leads, np.arange(len(leads)), len(leads))
        return np.minimum.reduceat(indices, self.first)

    def total_errors(self, errors: Integers, config: RescoringConfig) -> int:
        """Return the errors of the best hypotheses; `errors` is (num_hypotheses,)."""
        return int(errors[self.best(self.combined(config))].sum())

    def oracle_errors(self, errors: Integers) -> int:
        """Return the smallest number of errors that any ranking can have."""
        return int(np.minimum.reduceat(errors, self.first).sum())


def make_lists(entries: Sequence[NbestEntry], log_probs: Floats, lengths: Integers) -> NbestLists:
    """Return n-best lists from the entries of `read_nbest`.

    Args:
        entries: entries of each utterance in a row; at least one.
        log_probs: log P of each entry in nats, (num_hypotheses,).
        lengths: length of each entry in words or characters, (num_hypotheses,).
    """
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
    """Total errors of the hypotheses that a ranking places first."""

    name: RankingName
    errors: int
    config: RescoringConfig | None  # settings of the combined score; None: the oracle


@dataclass(frozen=True, slots=True)
class RescoringErrors:
    """Total errors of several rankings of the same lists."""

    unit: Unit
    num_units: int  # words or characters of the references
    rankings: tuple[Ranking, ...]

    def rate(self, ranking: Ranking) -> float:
        """Return the WER or CER: errors per unit of the references, or NaN without units."""
        return ranking.errors / self.num_units if self.num_units else math.nan

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for JSON: the settings of the last ranking, then all rankings."""
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
    """Count the errors of the best hypotheses under each configuration and under the oracle.

    Args:
        lists: hypotheses and their scores.
        errors: errors of each hypothesis, (num_hypotheses,).
        configs: settings of each ranking by name.
        unit: unit in which errors are counted.
        num_units: total number of units in the references.
    """
    rankings = [
        Ranking(name, lists.total_errors(errors, config), config)
        for name, config in configs.items()
    ]
    oracle = Ranking("oracle", lists.oracle_errors(errors), None)
    return RescoringErrors(unit, num_units, (*rankings, oracle))
