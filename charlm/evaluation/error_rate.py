"""Word and character errors: the fewest edits from what was recognised to what was meant."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from charlm.errors import ConfigError

Unit = Literal["word", "char"]
"""What is counted: words, runs without white space; or characters, code points with the spaces."""

RATE_NAMES: dict[Unit, str] = {"word": "WER", "char": "CER"}


def count_units(texts: Sequence[str], unit: Unit) -> NDArray[np.int64]:
    """Words or characters of each text, shape (len(texts),)."""
    return np.array([len(split_units(text, unit)) for text in texts], dtype=np.int64)


def count_errors(
    hypotheses: Sequence[str], references: Sequence[str], unit: Unit
) -> NDArray[np.int64]:
    """Substitutions, insertions and deletions of each hypothesis, shape (len(hypotheses),).

    The Levenshtein distance in words or characters. WER and CER are its sum over the number of
    units of the references; texts are compared as they are, case and punctuation included.

    Args:
        hypotheses: what was recognised.
        references: what was meant, one for each hypothesis.
        unit: what an error is counted in.

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
    """The words or characters of a text."""
    return text.split() if unit == "word" else text
