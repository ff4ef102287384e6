"""Constraints on the next token that depend on the text so far."""

from collections.abc import Sequence

import torch
from torch import Tensor

from charlm.decoding.config import DecodingConfig
from charlm.decoding.filters import (
    BARRED,
    bar_repeated_ngrams,
    bar_tokens,
    favour_tokens,
    penalize_frequency,
    penalize_presence,
    penalize_repetition,
)
from charlm.decoding.rules import Rules, Symbols
from charlm.errors import ConfigError


class Constraints:
    """History of the texts of a batch, as needed for masked tokens and penalties.

    Only what the settings require is stored, so plain decoding stores nothing. Memory and time per
    token grow with the text only for `no_repeat_ngram_size`.
    """

    def __init__(
        self, config: DecodingConfig, rules: Rules, prompts: Sequence[Sequence[int]]
    ) -> None:
        self._config, self._rules = config, rules
        neutral = torch.zeros(rules.vocab_size, dtype=torch.float64)
        # Masks and biases that always apply: (vocab_size,), float64.
        self.added = bar_tokens(favour_tokens(neutral, rules.bias), rules.barred)
        self._num_new = 0
        self._seen: Tensor | None = None  # (rows, vocab_size): token counts in prompt and text
        self._new: Tensor | None = None  # (rows, vocab_size): token counts in the text
        self._tokens: Tensor | None = None  # (rows, length): prompt and text, -1 as left padding
        self._ends: list[Symbols] | None = None
        if config.repetition_penalty != 1:
            self._seen = torch.zeros(len(prompts), rules.vocab_size)
            for row, prompt in zip(self._seen, prompts, strict=True):
                row += torch.bincount(
                    torch.tensor(prompt, dtype=torch.long), minlength=rules.vocab_size
                )
        if config.presence_penalty or config.frequency_penalty:
            self._new = torch.zeros(len(prompts), rules.vocab_size)
        if config.no_repeat_ngram_size:
            longest = max(map(len, prompts))
            padded = [[-1] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
            self._tokens = torch.tensor(padded)
        if rules.bans is not None:
            self._ends = []
            for prompt in prompts:
                end: Symbols = ()
                for token in prompt:
                    end = rules.bans.extend(end, token)
                self._ends.append(end)

    def apply(self, logits: Tensor) -> Tensor:
        """Return logits or log-probabilities, (rows, vocab_size), after masks and penalties."""
        config, rules = self._config, self._rules
        logits = logits + self.added
        if self._seen is not None:
            logits = penalize_repetition(logits, self._seen, config.repetition_penalty)
        if self._new is not None:
            logits = penalize_presence(logits, self._new, config.presence_penalty)
            logits = penalize_frequency(logits, self._new, config.frequency_penalty)
        if self._tokens is not None:
            logits = bar_repeated_ngrams(logits, self._tokens, config.no_repeat_ngram_size)
        if self._num_new < config.min_new_tokens:
            logits = bar_tokens(logits, [rules.stop_id])
        if self._ends is not None and rules.bans is not None:
            logits = logits.clone()
            for row, end in zip(logits, self._ends, strict=True):
                row[rules.bans.completing(end)] = BARRED
        return logits

    @property
    def only_bar(self) -> bool:
        """True if the constraints only mask the same tokens at every step."""
        kept = (self._seen, self._new, self._tokens, self._ends)
        remember = any(k is not None for k in kept) or self._config.min_new_tokens > 0
        return not remember and not self._rules.bias

    @property
    def may_bar_all(self) -> bool:
        """True if all tokens of a row may be masked at some step."""
        barred = {*self._rules.barred, self._rules.stop_id}
        depends = self._tokens is not None or self._ends is not None
        return depends or len(barred) == self._rules.vocab_size

    def append(self, tokens: Tensor) -> None:
        """Record the next token of each row: (rows,), int64, on the CPU."""
        self._num_new += 1
        column = tokens.unsqueeze(1)
        for counts in (self._seen, self._new):
            if counts is not None:
                counts.scatter_add_(1, column, counts.new_ones(column.shape))
        if self._tokens is not None:
            self._tokens = torch.cat([self._tokens, column], dim=1)
        if self._ends is not None and self._rules.bans is not None:
            pairs = zip(self._ends, tokens.tolist(), strict=True)
            self._ends = [self._rules.bans.extend(end, token) for end, token in pairs]

    def select(self, rows: Tensor) -> None:
        """Keep these rows, in this order; a row may be repeated. The index is on the CPU."""
        for name in ("_seen", "_new", "_tokens"):
            kept = getattr(self, name)
            if kept is not None:
                setattr(self, name, kept[rows])
        if self._ends is not None:
            self._ends = [self._ends[row] for row in rows.tolist()]


def check_choice(logits: Tensor) -> None:
    """Check that every row has a token that is not masked; logits are (rows, vocab_size).

    Raises:
        ConfigError: all tokens of a row are masked.
    """
    if bool((logits.amax(-1) == BARRED).any()):
        raise ConfigError(
            "no token is left to go on with; loosen --ban, --no-repeat-ngram-size or "
            "--min-new-tokens."
        )
