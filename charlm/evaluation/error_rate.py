"""Word and character errors: edit distances between hypotheses and references."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from charlm.errors import ConfigError

Unit = Literal["word", "char"]
"""What is counted: words, runs without white space; or characters, code points with the spaces."""

RATE_NAMES: dict[Unit, str] = {"word": "WER", "char": "CER"}


def count_units(texts: Sequence[str], unit: Unit) -> NDArray[np.int64]:
    """Return the number of words or characters of each text, (len(texts),)."""
    return np.array([len(split_units(text, unit)) for text in texts], dtype=np.int64)


def count_errors(
    hypotheses: Sequence[str], references: Sequence[str], unit: Unit
) -> NDArray[np.int64]:
    """Return the number of errors of each hypothesis, (len(hypotheses),).

    This is the Levenshtein distance: substitutions, insertions and deletions of words or
    characters. WER and CER are the sum of the distances divided by the number of units in the
    references. Case and punctuation count.

    Args:
        hypotheses: recognised texts.
        references: correct texts, one for each hypothesis.
        unit: unit in which errors are counted.

    Raises:
        ConfigError: rapidfuzz is not installed.
    """
    try:
        from rapidfuzz.distance import Levenshtein
    except ImportError:
        raise ConfigError("to count errors, run `pip install charlm[rescore]`.") from None
    pairs = zip(hypotheses, references, strict=True)
    distances = [
        Levenshtein.distance(split_units(hypothesis, unit), split_units(reference, unit))
        for hypothesis, reference in pairs
    ]
    return np.array(distances, dtype=np.int64)


def split_units(text: str, unit: Unit) -> Sequence[str]:
    """Return the words or characters of a text."""
    return text.split() if unit == "word" else text
