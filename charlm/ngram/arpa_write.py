r"""N-gram models to ARPA files, which KenLM, SRILM and most recognisers read.

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
        model: any; its n-grams are written in their order.
        words: by token id, `<start>` as `<s>`, `<stop>` as `</s>`, `<other>` as `<unk>`.
        path: whose folder is there.

    Raises:
        TextError: a word cannot be written in an ARPA file.
        StorageError: the file cannot be written.
    """
    with atomic_file(path) as file:
        file.writelines(line.encode() for line in arpa_lines(model, words))


def arpa_lines(model: NgramModel, words: Sequence[str]) -> Iterator[str]:
    """The lines of the model's ARPA file, line ends included. As `write_arpa`."""
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
    """Natural logarithms as logarithms to base 10, none below that of "zero"."""
    values: list[float] = np.maximum(nats / math.log(10), LOG10_ZERO).tolist()
    return values
