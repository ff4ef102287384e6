"""Filling the blanks of a text with a bidirectional model."""

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
BLANK_TOKENS = {"word": 1, "bpe": 4, "char": 12, "byte": 12}  # default of max_blank_tokens

MAX_PRODUCTS = 1 << 38  # multiplications; a few seconds on two cores

Ids = tuple[int, ...]
SPACE = tuple(b" ")


@dataclass(frozen=True, slots=True)
class Filling:
    """One way to fill the blanks of a text."""

    text: str  # the whole text with its blanks filled
    fillings: tuple[str, ...]  # one per blank
    log_prob: float  # log P of the whole text in nats, the mean of both directions
    probability: float | None  # among all fillings up to max_blank_tokens; None: not all tried
    candidate_share: float  # share of the total probability of all ranked candidates
    num_candidates: int  # number of ranked candidates


def check_blank(text: str) -> None:
    """Check that the text has a blank.

    Raises:
        TextError: the text has no blank.
    """
    if not BLANK.search(text):
        raise TextError("the text has no blank; write ___ where something is missing.")


class Filler:
    """Filler of blanks that uses both halves of a bidirectional model."""

    def __init__(
        self, halves: tuple[StepModel, StepModel], evaluators: tuple[Evaluator, Evaluator]
    ) -> None:
        """Take the step models and the evaluators, each as (forward, backward)."""
        self._halves, self._evaluators = halves, evaluators
        self._tokenizer: Tokenizer = evaluators[0].tokenizer

    def fill(self, text: str, config: FillingConfig) -> list[Filling]:
        """Return the most probable fillings of the blanks of a text, best first."""
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
            # A model that predicts lengths proposes for the maximum length; ranking is exact.
            size = len(left) + len(right) + config.max_blank_tokens
            forward, backward = (evaluator.begin(size) for evaluator in self._evaluators)
            prompts = (*forward, *left), (*backward, *right[::-1])
            begins_not = blanks.begins_not(number)
            return propose_both_ways(self._halves, prompts, barred, config, begins_not)

        found = fill_blanks(blanks.parts, propose, self.log_probs, config)
        return self._with_shares(found, blanks, config, exact=False)

    def _is_affordable(self, blanks: "Blanks", config: FillingConfig) -> bool:
        """Return True if all fillings can be ranked.

        With a width, that is the case if it covers all fillings; otherwise, if the ranking takes at
        most `MAX_PRODUCTS` multiplications.
        """
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
        """Return the best `num_fillings` fillings with their shares of the ranked probability."""
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
        """Return log P in nats of each text as a separate sentence, the mean of both directions."""
        forward, backward = (each.log_probs_of(texts) for each in self._evaluators)
        means: list[float] = ((forward + backward) / 2).tolist()
        return means


class Blanks:
    """Text split at its blanks; a blank is three or more underscores.

    BPE tokens include the space before a word. A space before a blank is therefore removed from
    the text, and the filling begins with it.
    """

    def __init__(self, text: str, tokenizer: Tokenizer) -> None:
        """Split the text and encode the parts between the blanks."""
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
        """Tokens that may not begin the filling of each blank; see `begins_not`."""
        return [self.begins_not(number) for number in range(len(self._spaced))]

    def begins_not(self, number: int) -> list[int]:
        """Return the tokens that may not begin the filling of blank `number`.

        For BPE these are the tokens that begin without a space if one stands before the blank, and
        otherwise those that begin with one. For other tokenizers the list is empty.
        """
        if self._tokenizer.level != "bpe":
            return []
        spellings = self._tokenizer.spellings()
        return [i for i, s in enumerate(spellings) if (s[:1] == SPACE) != self._spaced[number]]

    def write(self, fillings: Sequence[Ids]) -> tuple[str, tuple[str, ...]]:
        """Return the text with its blanks filled, and the text of each filling."""
        decode = self._tokenizer.decode
        own = tuple(
            decode(filling)[spaced:] for filling, spaced in zip(fillings, self._spaced, strict=True)
        )
        return decode(join(self.parts, fillings)), own
