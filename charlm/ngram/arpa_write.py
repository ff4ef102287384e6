r"""Writer for ARPA files of n-gram models, which KenLM, SRILM and most recognisers read.

    \data\
    ngram 1=4
    ngram 2=3

    \1-grams:
    -99         <s>        -0.3         log10 probability, words, log10 back-off weight
    ...
    \2-grams:
    -0.7        <s> fox
    ...
    \end\
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from charlm.ngram.arpa_words import LOG10_ZERO, START, check_words
from charlm.ngram.model import NgramModel
from charlm.storage import atomic_file


def write_arpa(model: NgramModel, words: Sequence[str], path: Path) -> None:
    """Write the model to `path` in one step, as UTF-8.

    Args:
        model: n-gram model; n-grams are written in the order of its tables.
        words: word of each token id, with `<start>` as `<s>`, `<stop>` as `</s>` and `<other>` as
            `<unk>`.
        path: output file, in an existing folder.

    Raises:
        TextError: a word cannot be written in an ARPA file.
        StorageError: the file cannot be written.
    """
    with atomic_file(path) as file:
        file.writelines(line.encode() for line in arpa_lines(model, words))


def arpa_lines(model: NgramModel, words: Sequence[str]) -> Iterator[str]:
    """Yield the lines of the model's ARPA file, with line endings.

    Arguments are those of `write_arpa`.

    Raises:
        TextError: a word cannot be written in an ARPA file.
    """
    check_words(words)
    assert len(words) == model.vocab_size and words[model.start_id] == START
    yield "\\data\\\n"
    for order, table in enumerate(model.tables, start=1):
        yield f"ngram {order}={len(table)}\n"

    ngrams = list(words)
    for order, table in enumerate(model.tables, start=1):
        if order > 1:
            contexts, tokens = np.divmod(table.keys, model.vocab_size)
            ngrams = [
                f"{ngrams[context]} {words[token]}"
                for context, token in zip(contexts.tolist(), tokens.tolist(), strict=True)
            ]
        log_probs, weights = log10_values(table.log_probs), [""] * len(table)
        if order < model.order:
            weights = [f"\t{weight:.9g}" for weight in log10_values(table.log_backoffs)]
        yield f"\n\\{order}-grams:\n"
        for log_prob, ngram, weight in zip(log_probs, ngrams, weights, strict=True):
            yield f"{log_prob:.9g}\t{ngram}{weight}\n"
    yield "\n\\end\\\n"


def log10_values(nats: NDArray[np.float64]) -> list[float]:
    """Convert natural logarithms to base 10, with -99 as the lowest value."""
    values: list[float] = np.maximum(nats / math.log(10), LOG10_ZERO).tolist()
    return values
