"""An n-gram model in back-off form: log probabilities of listed n-grams, weights for the rest.

    log P(w | h) = log_probs[h w]                                         if h w is listed
                 = log_backoffs[h] + log P(w | h without its first token) if not

The weight is 0 if h is not listed. Any smoothed model can be written in this form. For an
interpolated model, log_probs are those of the whole mixture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from charlm.ngram.layout import NO_NGRAM, Ids, contexts_before, ngram_keys


@dataclass(frozen=True, slots=True)
class NgramTable:
    """The listed n-grams of one order, sorted by key; arrays are (num_ngrams,)."""

    keys: Ids
    log_probs: NDArray[np.float64]  # of the last token given the others, in nats
    log_backoffs: NDArray[np.float64]  # of the n-gram as a context, in nats; unused in the last

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, keys: Ids) -> Ids:
        """Return the number of the n-gram with each key, or `NO_NGRAM`."""
        if len(self) == 0:
            return np.full_like(keys, NO_NGRAM)
        numbers = np.minimum(np.searchsorted(self.keys, keys), len(self) - 1)
        return np.where(self.keys[numbers] == keys, numbers, NO_NGRAM)

    def followers(self, contexts: Ids, vocab_size: int) -> tuple[Ids, Ids]:
        """Find the n-grams that begin with each context.

        Returns: two arrays (num_followers,): the index into `contexts`, and the n-gram's number.
        """
        rows = np.flatnonzero(contexts != NO_NGRAM)
        first = np.searchsorted(self.keys, contexts[rows] * vocab_size)
        num_followers = np.searchsorted(self.keys, (contexts[rows] + 1) * vocab_size) - first
        offsets = first - (np.cumsum(num_followers) - num_followers)
        numbers = np.arange(num_followers.sum()) + np.repeat(offsets, num_followers)
        return np.repeat(rows, num_followers), numbers


@dataclass(frozen=True, slots=True)
class NgramModel:
    """An n-gram model: one table per order from 1 up.

    The first table contains the whole vocabulary, by token id.
    """

    tables: tuple[NgramTable, ...]
    start_id: int

    @property
    def order(self) -> int:
        """The order n: a token depends on the n - 1 tokens before it."""
        return len(self.tables)

    @property
    def vocab_size(self) -> int:
        """Number of token ids, `<start>` included."""
        return len(self.tables[0])

    def log_probs(self, tokens: ArrayLike, history: ArrayLike = ()) -> NDArray[np.float64]:
        """Return the log probability of each token given those before it, in nats, (num_tokens,).

        A token's context reaches back to the last `<start>`, and at most order - 1 tokens.
        `<start>` itself is never predicted and has value 0. Results are bit-identical however a
        text is cut into windows, provided that each window gets the text before it as history.

        Args:
            tokens: concatenated frames, (num_tokens,), ids below `vocab_size`. May be
                memory-mapped.
            history: tokens before `tokens`; only the last order - 1 are used.
        """
        text, num_before = self._join(history, tokens)
        log_probs = self.tables[0].log_probs[text]
        endings = self._endings(text)
        for (lower, table), (shorter, longer) in zip(
            pairwise(self.tables), pairwise(endings), strict=True
        ):
            contexts = contexts_before(shorter, text, self.start_id)
            known = contexts != NO_NGRAM
            log_probs[known] += lower.log_backoffs[contexts[known]]
            listed = longer != NO_NGRAM
            log_probs[listed] = table.log_probs[longer[listed]]
        log_probs[text == self.start_id] = 0.0
        return log_probs[num_before:]

    def distributions(self, tokens: ArrayLike, history: ArrayLike = ()) -> NDArray[np.float64]:
        """Return the log probability of every token of the vocabulary after each of `tokens`.

        The result is in nats, (num_tokens, vocab_size); row i predicts the token after tokens[i].
        `<start>` has minus infinity. Arguments are those of `log_probs`. Pass a few hundred tokens
        at a time to limit memory.
        """
        text, num_before = self._join(history, tokens)
        endings = [ending[num_before:] for ending in self._endings(text)]
        weights = self._backoffs_beyond(endings)
        distributions: NDArray[np.float64] = self.tables[0].log_probs + weights[0][:, None]
        # Tables go from short to long, so that longer contexts overwrite shorter ones.
        for table, contexts, weight in zip(self.tables[1:], endings, weights[1:], strict=False):
            rows, numbers = table.followers(contexts, self.vocab_size)
            followers = table.keys[numbers] % self.vocab_size
            distributions[rows, followers] = table.log_probs[numbers] + weight[rows]
        return distributions

    def _join(self, history: ArrayLike, tokens: ArrayLike) -> tuple[Ids, int]:
        """Return `tokens` after the last order - 1 tokens of history, and the length of those."""
        before, text = np.asarray(history, np.int64), np.asarray(tokens, np.int64)
        before = before[max(0, len(before) - (self.order - 1)) :]
        joined = np.concatenate([before, text])
        assert joined.min(initial=0) >= 0 and joined.max(initial=0) < self.vocab_size
        return joined, len(before)

    def _endings(self, text: Ids) -> list[Ids]:
        """Return, for each order, the number of the listed n-gram ending at each token, or -1."""
        endings = [text]
        for table in self.tables[1:]:
            contexts = contexts_before(endings[-1], text, self.start_id)
            endings.append(table.find(ngram_keys(contexts, text, self.vocab_size)))
        return endings

    def _backoffs_beyond(self, endings: Sequence[Ids]) -> NDArray[np.float64]:
        """Return the sum of the back-off weights of all longer contexts: (order, num_tokens)."""
        weights = np.zeros((self.order, len(endings[0])))
        for row, table, contexts in zip(weights, self.tables[:-1], endings, strict=False):
            known = contexts != NO_NGRAM
            row[known] = table.log_backoffs[contexts[known]]
        return weights[::-1].cumsum(axis=0)[::-1]
