"""Word vectors from a text file in the format of GloVe or word2vec: one line per word."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charlm.data.sources import Source, lines_of
from charlm.errors import TextError

ENDS_IN_NUMBER = re.compile(r" -?\d+\.\d+$")


@dataclass(frozen=True, slots=True)
class Vectors:
    """Word vectors of the tokens of a vocabulary that were found in a file."""

    ids: NDArray[np.int64]  # (num_found,), increasing
    values: NDArray[np.float32]  # (num_found, size)

    @property
    def size(self) -> int:
        return int(self.values.shape[1])


def read_vectors(source: Source, ids: Mapping[str, int]) -> Vectors:
    """Read the vectors of the tokens in `ids`, which maps words to token ids.

    A token without a vector of its own takes the vector of its lower-case form. A first line of two
    integers, as in word2vec files, gives the number of vectors and their size. Words may contain
    spaces: the numbers are the last fields of a line.

    Raises:
        TextError: the file cannot be read or has no vectors, or a line has the wrong number of
            numbers or, for a word that is needed, a field that is not a finite number.
    """
    lowered: dict[str, list[int]] = {}
    for word, token in ids.items():
        lowered.setdefault(word.lower(), []).append(token)
    size = None
    exact: dict[int, NDArray[np.float32]] = {}
    close: dict[int, NDArray[np.float32]] = {}
    for number, line in enumerate(map(str.rstrip, lines_of(source)), 1):
        if not line:
            continue
        if size is None and is_header(line):
            size = int(line.split()[1])
            continue
        if size is None:
            size = len(line.split(" ")) - 1
        word, *fields = line.rsplit(" ", size)
        others = [token for token in lowered.get(word, ()) if token not in close]
        is_whole = len(fields) == size and not ENDS_IN_NUMBER.search(word)
        if word not in ids and not others and is_whole:
            continue  # not in the vocabulary: its numbers need not be parsed
        vector = parse_vector(fields if is_whole else [], size, source.name, number)
        if word in ids:
            exact.setdefault(ids[word], vector)
        close |= dict.fromkeys(others, vector)
    if size is None:
        raise TextError(f"{source.name} holds no vectors; name a text file of GloVe or word2vec.")
    found = {**close, **exact}
    rows = np.array(sorted(found), dtype=np.int64)
    values = np.array([found[token] for token in rows.tolist()], dtype=np.float32)
    return Vectors(rows, values.reshape(-1, size))


def parse_vector(fields: list[str], size: int, name: str, number: int) -> NDArray[np.float32]:
    """Return the numbers of a line: (size,).

    Raises:
        TextError: there are not exactly `size` fields, or one is not a finite number.
    """
    try:
        vector = np.array(fields, dtype=np.float32)
    except ValueError:
        vector = np.zeros(0, dtype=np.float32)
    if len(vector) != size or size < 1 or not np.isfinite(vector).all():
        raise TextError(
            f"{name} has no vector of {size} numbers in line {number:,}, as the lines before; "
            "name a text file of GloVe or word2vec."
        )
    return vector


def is_header(line: str) -> bool:
    """Return whether a line consists of two integers."""
    fields = line.split()
    return len(fields) == 2 and all(field.isdecimal() for field in fields)
