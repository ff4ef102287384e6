"""Assembly of a model from n-grams listed in any order, with missing contexts added.

A pruned file may list an n-gram without its context, which the model needs to number the n-gram.
The context is added with its back-off probability and a weight of 0, which changes no probability.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charlm.ngram.layout import NO_NGRAM, Ids, ngram_keys
from charlm.ngram.model import NgramModel, NgramTable
from charlm.ngram.numbered_lines import NumberedLines


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedNgrams:
    """All n-grams of one order in a file, one per line."""

    tokens: Ids  # (num_ngrams, order)
    log_probs: NDArray[np.float64]  # (num_ngrams,), in nats
    log_backoffs: NDArray[np.float64]  # (num_ngrams,), in nats
    lines: NumberedLines
    first_line: int


def assemble_model(orders: Sequence[ListedNgrams], *, vocab_size: int, start_id: int) -> NgramModel:
    """Sort listed n-grams into the tables of a model; unlisted tokens have probability 0.

    Args:
        orders: n-grams of each order from 1 up; at least one order.
        vocab_size: number of token ids, `<start>` included.
        start_id: id of `<start>`; its probability is 0, even if another one is listed.

    Raises:
        TextError: an n-gram is listed twice.
        ConfigError: there are more n-grams than 64 bits can number.
    """
    tables: list[NgramTable] = []
    # Numbers of the contexts before the n-th token, for the n-grams of this and higher orders.
    contexts = [np.zeros(len(ngrams.tokens), np.int64) for ngrams in orders]
    for n, ngrams in enumerate(orders):
        keys, *begun = (
            ngram_keys(before, longer.tokens[:, n], vocab_size)
            for before, longer in zip(contexts, orders[n:], strict=True)
        )
        check_distinct(ngrams, keys)
        all_keys = np.arange(vocab_size) if n == 0 else distinct(np.concatenate([keys, *begun]))
        tables.append(fill_table(ngrams, keys, all_keys, tables, start_id))
        contexts = [np.searchsorted(all_keys, longer) for longer in begun]
    return NgramModel(tuple(tables), start_id)


def check_distinct(ngrams: ListedNgrams, keys: Ids) -> None:
    """Check that no n-gram is listed twice.

    Raises:
        TextError: an n-gram is listed twice.
    """
    by_key = np.argsort(keys, kind="stable")
    again = by_key[1:][keys[by_key][1:] == keys[by_key][:-1]]
    if len(again) > 0:
        line = ngrams.first_line + int(again.min())
        raise ngrams.lines.damage("this n-gram was listed before", line)


def distinct(keys: Ids) -> Ids:
    """Return the sorted distinct keys."""
    # Files are mostly sorted, which a stable sort exploits and np.unique does not.
    keys = np.sort(keys, kind="stable")
    first: Ids = keys[np.diff(keys, prepend=NO_NGRAM) != 0]
    return first


def fill_table(
    ngrams: ListedNgrams, keys: Ids, all_keys: Ids, lower: Sequence[NgramTable], start_id: int
) -> NgramTable:
    """Return the table of `all_keys`, filled from the listed n-grams and by backing off.

    Args:
        ngrams: the listed n-grams.
        keys: keys of the listed n-grams, (num_listed,).
        all_keys: sorted keys of the table, (num_ngrams,).
        lower: tables of the orders below.
        start_id: id of `<start>`.
    """
    numbers = np.searchsorted(all_keys, keys)
    listed = np.zeros(len(all_keys), dtype=np.bool_)
    listed[numbers] = True
    log_probs, log_backoffs = np.full(len(all_keys), -np.inf), np.zeros(len(all_keys))
    log_probs[numbers], log_backoffs[numbers] = ngrams.log_probs, ngrams.log_backoffs
    if lower:
        log_probs[~listed] = backed_off_log_probs(all_keys[~listed], lower, start_id)
    vocab_size = len(lower[0]) if lower else len(all_keys)
    log_probs[all_keys % vocab_size == start_id] = -np.inf
    return NgramTable(all_keys, log_probs, log_backoffs)


def backed_off_log_probs(
    keys: Ids, lower: Sequence[NgramTable], start_id: int
) -> NDArray[np.float64]:
    """Return the back-off log probabilities of n-grams, in nats, from the tables below."""
    tokens = spell_ngrams(keys, lower)
    # The last token of a row depends only on the row, so the rows can be scored as one text.
    shorter = NgramModel(tuple(lower), start_id).log_probs(tokens.ravel()).reshape(tokens.shape)
    return lower[-1].log_backoffs[keys // len(lower[0])] + shorter[:, -1]


def spell_ngrams(keys: Ids, lower: Sequence[NgramTable]) -> Ids:
    """Return the tokens of n-grams, (num_ngrams, order), from the tables of the orders below."""
    tokens = np.empty((len(keys), len(lower) + 1), np.int64)
    for position in range(len(lower), -1, -1):
        contexts, tokens[:, position] = np.divmod(keys, len(lower[0]))
        if position > 0:
            keys = lower[position - 1].keys[contexts]
    return tokens
