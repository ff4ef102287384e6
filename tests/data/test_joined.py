"""Arrays one after the other read like one array."""

import numpy as np
import pytest

from charlm.data import JoinedTokens

PARTS = [np.arange(5, dtype=np.uint16), np.zeros(0, np.uint16), np.arange(10, 13, dtype=np.uint16)]
WHOLE = np.concatenate(PARTS)


@pytest.fixture
def joined():
    return JoinedTokens(PARTS)


@pytest.mark.parametrize("begin", [0, 2, 5, 7, 8, 20])
@pytest.mark.parametrize("end", [0, 3, 5, 6, 8, 20])
def test_ranges(joined, begin, end):
    assert joined[begin:end].tolist() == WHOLE[begin:end].tolist()
    assert len(joined) == len(WHOLE)


@pytest.mark.parametrize("places", [[0], [4, 5, 0], [[7, 5], [4, 3]]])
def test_places_of_any_shape(joined, places):
    assert joined[np.array(places)].tolist() == WHOLE[np.array(places)].tolist()
    assert joined[6] == WHOLE[6]


def test_the_label_of_each_place(joined):
    assert joined.labels(np.arange(8)).tolist() == [0, 0, 0, 0, 0, 2, 2, 2]
    assert np.asarray(joined).tolist() == WHOLE.tolist()


def test_heads_are_equal_shares_of_each(joined):
    assert joined.heads(4)[:].tolist() == [0, 1, 10]
    assert joined.heads(100)[:].tolist() == WHOLE.tolist()


def test_nothing_lies_beyond_the_ends(joined):
    with pytest.raises(IndexError):
        joined[np.array([8])]
