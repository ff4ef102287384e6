"""Texts with blanks, filled by a model of both directions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from charlm.api.evaluating import Evaluator
from charlm.decoding import (
    Filled,
    FillingConfig,
    count_fillings,
    fill_blanks,
    join,
    propose_both_ways,
    rank_every_filling,
)
from charlm.errors import TextError
from charlm.model import StepModel
from charlm.text import Tokenizer

BLANK = re.compile("_{3,}")
BLANK_TOKENS = {"word": 1, "bpe": 4, "char": 12, "byte": 12}  # at most, where nobody says

MAX_PRODUCTS = 1 << 38  # multiplications: seconds on two cores

Ids = tuple[int, ...]
SPACE = tuple(b" ")


@dataclass(frozen=True, slots=True)
class Filling:
    """One way to fill the blanks of a text."""

    text: str  # the whole, without blanks
    fillings: tuple[str, ...]  # of each blank
    log_prob: float  # of the whole text, in nats: the mean of both directions
    probability: float | None  # among all fillings of this length at most; None: not all were tried
    candidate_share: float  # of the probability of the candidates that were ranked
    num_candidates: int  # that were ranked


def check_blank(text: str) -> None:
    """There must be something to fill.

    Raises:
        TextError: there is not.
    """
    if not BLANK.search(text):
        raise TextError("the text has no blank; write ___ where something is missing.")


class Filler:
    """Two halves of a model, reading from both sides."""

    def __init__(
        self, halves: tuple[StepModel, StepModel], evaluators: tuple[Evaluator, Evaluator]
    ) -> None:
        """Take what writes and what evaluates, each forwards and backwards."""
        self._halves, self._evaluators = halves, evaluators
        self._tokenizer: Tokenizer = evaluators[0].tokenizer

    def fill(self, text: str, config: FillingConfig) -> list[Filling]:
        """The most probable fillings, best first, of a text with a blank."""
        tokenizer = self._tokenizer
        blanks = Blanks(text, tokenizer)
        if self._is_affordable(blanks, config):
            symbols = range(tokenizer.num_symbols)
            ranked = rank_every_filling(
                blanks.parts, symbols, blanks.all_begin_not, self.log_probs, config
            )
            return self._with_shares(ranked, blanks, config, exact=True)
        barred = (tokenizer.start_id, tokenizer.stop_id, tokenizer.other_id)

        def propose(number: int, left: Ids, right: Ids) -> list[Ids]:
            # For models that are told it: the longest there may be. They rank exactly later.
            size = len(left) + len(right) + config.max_blank_tokens
            forward, backward = (evaluator.begin(size) for evaluator in self._evaluators)
            prompts = (*forward, *left), (*backward, *right[::-1])
            begins_not = blanks.begins_not(number)
            return propose_both_ways(self._halves, prompts, barred, config, begins_not)

        found = fill_blanks(blanks.parts, propose, self.log_probs, config)
        return self._with_shares(found, blanks, config, exact=False)

    def _is_affordable(self, blanks: "Blanks", config: FillingConfig) -> bool:
        """Whether all fillings can be ranked: in seconds, or as the width asks for so many."""
        num_symbols = self._tokenizer.num_symbols
        first = [num_symbols - len(barred) for barred in blanks.all_begin_not]
        count = count_fillings(num_symbols, first, config)
        if count is None or config.width is not None:
            return count is not None and config.num_proposals >= count
        num_tokens = sum(map(len, blanks.parts)) + len(first) * config.max_blank_tokens + 2
        models = (each.checkpoint.model for each in self._evaluators)
        weights = sum(sum(model.parameters_by_part().values()) for model in models)
        return count * num_tokens * weights <= MAX_PRODUCTS

    def _with_shares(
        self, found: Sequence[Filled], blanks: "Blanks", config: FillingConfig, *, exact: bool
    ) -> list[Filling]:
        """The best of what was ranked, each with its part of the probability of all of it."""
        log_probs = np.array([filled.log_prob for filled in found])
        shares = np.exp(log_probs - np.logaddexp.reduce(log_probs, initial=-np.inf)).tolist()
        return [
            Filling(
                *blanks.write(filled.fillings),
                log_prob=filled.log_prob,
                probability=share if exact else None,
                candidate_share=share,
                num_candidates=len(found),
            )
            for filled, share in zip(found[: config.num_fillings], shares, strict=False)
        ]

    def log_probs(self, texts: Sequence[Ids]) -> Sequence[float]:
        """Log P in nats of each text as a sentence of its own: the mean of both directions."""
        forward, backward = (each.log_probs_of(texts) for each in self._evaluators)
        means: list[float] = ((forward + backward) / 2).tolist()
        return means


class Blanks:
    """A text cut at its blanks, each marked by three underscores or more.

    Byte pairs carry the space before a word. Where one stands before a blank it is therefore the
    filling that begins with it.
    """

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        """Cut it."""
        texts = BLANK.split(text)
        *before, _ = texts
        carries = tokenizer.level == "bpe"
        self._spaced = [carries and part.endswith(" ") for part in before]
        self._tokenizer = tokenizer
        trimmed = [
            part[:-1] if spaced else part
            for part, spaced in zip(texts, [*self._spaced, False], strict=True)
        ]
        self.parts: list[Ids] = [tuple(tokenizer.encode(part)) for part in trimmed]

    @cached_property
    def all_begin_not(self) -> list[list[int]]:
        """`begins_not` of each blank."""
        return [self.begins_not(number) for number in range(len(self._spaced))]

    def begins_not(self, number: int) -> list[int]:
        """Tokens with which the filling of a blank may not begin: a space where none is due.

        And where one is due, all that begin without.
        """
        if self._tokenizer.level != "bpe":
            return []
        spellings = self._tokenizer.spellings()
        return [i for i, s in enumerate(spellings) if (s[:1] == SPACE) != self._spaced[number]]

    def write(self, fillings: Sequence[Ids]) -> tuple[str, tuple[str, ...]]:
        """The text without blanks, and what each of them holds."""
        decode = self._tokenizer.decode
        own = tuple(
            decode(filling)[spaced:] for filling, spaced in zip(fillings, self._spaced, strict=True)
        )
        return decode(join(self.parts, fillings)), own
