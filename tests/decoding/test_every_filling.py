"""All fillings there are: counted, and ranked as they would be one by one."""

from itertools import product

import pytest

from charlm.decoding import FillingConfig, count_fillings, rank_every_filling
from charlm.decoding.every_filling import MAX_RANKED, fillings_of


@pytest.mark.parametrize("most", [1, 2, 3])
@pytest.mark.parametrize("begins_not", [(), (0,), (0, 2)])
def test_there_are_as_many_fillings_as_are_counted(most, begins_not):
    config = FillingConfig(max_blank_tokens=most)

    found = list(fillings_of(range(4), begins_not, config))

    naive = [ids for n in range(1, most + 1) for ids in product(range(4), repeat=n)]
    assert sorted(found) == sorted(ids for ids in naive if ids[0] not in begins_not)
    assert count_fillings(4, [4 - len(begins_not)], config) == len(found)
    assert count_fillings(4, [4 - len(begins_not), 4], config) == len(found) * len(
        list(fillings_of(range(4), (), config))
    )


def test_too_many_are_not_counted():
    assert count_fillings(MAX_RANKED, [MAX_RANKED], FillingConfig()) == MAX_RANKED
    assert count_fillings(MAX_RANKED + 1, [MAX_RANKED + 1], FillingConfig()) is None
    assert count_fillings(1000, [1000], FillingConfig(max_blank_tokens=10**9)) is None
    assert count_fillings(1000, [1000] * 9, FillingConfig()) is None


def test_every_filling_is_ranked_by_the_whole_text():
    parts = ((9,), (8,), ())

    def rank(texts):
        return [-abs(sum(text) - 20) for text in texts]

    found = rank_every_filling(parts, range(3), [(), (1,)], rank, FillingConfig())

    assert {each.fillings for each in found} == {((a,), (b,)) for a in range(3) for b in (0, 2)}
    assert [each.log_prob for each in found] == sorted(
        (-abs(17 + a + b - 20) for a in range(3) for b in (0, 2)), reverse=True
    )
    assert found[0].fillings == ((1,), (2,))
