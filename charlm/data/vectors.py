"""Word vectors from a text file, as GloVe and word2vec write them: a line for each word."""

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
    """Those of a vocabulary's tokens that were found."""

    ids: NDArray[np.int64]  # (num_found,), rising
    values: NDArray[np.float32]  # (num_found, size)

    @property
    def size(self) -> int:
        return int(self.values.shape[1])


def read_vectors(source: Source, ids: Mapping[str, int]) -> Vectors:
    """The vectors of the tokens named in `ids`; a token that has none takes its lower case's.

    A first line of two whole numbers, as word2vec writes it, says how many vectors there are and
    how wide. Words may hold spaces: the numbers are the last ones of a line.

    Raises:
        TextError: the file cannot be read, holds no vector, or a line has more or fewer numbers
            than the first.
    """
    lowered: dict[str, list[int]] = {}
    for word, token in ids.items():
        lowered.setdefault(word.lower(), []).append(token)
    size = None
    exact: dict[int, NDArray[np.float32]] = {}
    close: dict[int, NDArray[np.float32]] = {}
    filled = (line.rstrip() for line in lines_of(source) if line.strip())
    for number, line in enumerate(filled, 1):
        if number == 1 and is_header(line):
            size = int(line.split()[1])
            continue
        if size is None:
            size = len(line.split(" ")) - 1
        word, *fields = line.rsplit(" ", size)
        others = [token for token in lowered.get(word, ()) if token not in close]
        is_whole = len(fields) == size and not ENDS_IN_NUMBER.search(word)
        if word not in ids and not others and is_whole:
            continue  # nobody's: its numbers need not be read
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
    """The numbers of a line.

    Raises:
        TextError: there are more, or fewer, or something else.
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
    """Whether a line is two whole numbers."""
    fields = line.split()
    return len(fields) == 2 and all(field.isdecimal() for field in fields)
