"""A text long enough for discounts of its own."""

import numpy as np
import pytest

START, STOP, OTHER = 3, 4, 5


@pytest.fixture(scope="session")
def long_text():
    """Some 300 tokens of uneven frequency, in frames of 0 to 9."""
    random = np.random.default_rng(5)
    text = []
    while len(text) < 300:
        length = random.integers(10)
        words = random.choice([0, 1, 2, OTHER], length, p=[0.6, 0.25, 0.1, 0.05])
        text += [START, *words, STOP]
    return np.array(text)
