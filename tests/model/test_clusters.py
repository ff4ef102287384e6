"""Who is in which cluster, word by word; and that no other cut costs less."""

from itertools import combinations, pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charlm.model.clusters import (
    CLUSTER_WORDS,
    PLACES,
    ROUND_NUMBERS,
    Clusters,
    best_cutoffs,
    default_cutoffs,
)
from charlm.model.config import NUM_SPECIALS
from charlm.model.cross_entropy import IGNORED


@st.composite
def divisions(draw):
    vocab_size = draw(st.integers(5, 60))
    cuts = draw(st.sets(st.integers(1, vocab_size - 4), min_size=1))
    return Clusters(vocab_size, tuple(sorted(cuts)))


def named(division):
    """The shortlist's columns by name: the frequent words, the specials, then the clusters."""
    frequent, specials = range(division.cutoffs[0]), range(division.vocab_size - 3, 10**9)
    clusters = [f"cluster {i}" for i in range(len(division.cutoffs))]
    return [*frequent, *specials[:3], *clusters]


@given(divisions())
def test_every_word_is_in_the_shortlist_or_in_one_cluster(division):
    own = [word for part in division.slices for word in range(part.start, part.stop)]

    shortlist = [name for name in named(division) if isinstance(name, int)]
    assert sorted(own + shortlist) == list(range(division.vocab_size))
    assert all(part.stop > part.start for part in division.slices)


@given(divisions())
def test_targets_are_found_in_the_shortlist_and_in_their_cluster(division):
    targets = torch.cat([torch.arange(division.vocab_size), torch.tensor([IGNORED, IGNORED])])
    columns = division.shortlist_targets(targets)

    expected = {word: word for word in named(division)}
    for i, (places, wanted, words) in enumerate(division.places(targets)):
        real = wanted != IGNORED
        assert len(wanted) == len(places) and len(places) % PLACES == 0
        assert not real[int(real.sum()) :].any()  # filled up at the end
        assert targets[places[real]].tolist() == list(range(words.start, words.stop))
        assert wanted[real].tolist() == list(range(words.stop - words.start))
        expected |= dict.fromkeys(targets[places[real]].tolist(), f"cluster {i}")
    assert columns[-2:].tolist() == [IGNORED, IGNORED]
    found = [named(division)[column] for column in columns[:-2]]
    assert found == [expected[word] for word in range(division.vocab_size)]


@given(divisions())
def test_what_the_shortlist_takes_from_words_goes_back_to_them(division):
    words = torch.arange(float(division.vocab_size))[:, None]
    clusters = -1 - torch.arange(float(len(division.cutoffs)))[:, None]
    shortlist = division.shortlist(words, clusters, 0)
    back = torch.full_like(words, torch.nan)

    assert division.fill_shortlist(back, shortlist).equal(clusters)

    kept = [name for name in named(division) if isinstance(name, int)]
    assert back.isfinite().sum() == len(kept)
    assert back[kept].equal(words[kept])
    pieces = division.split_shortlist(shortlist, 0)
    assert [piece.flatten().tolist() for piece in pieces] == [
        words[: division.cutoffs[0]].flatten().tolist(),
        words[-3:].flatten().tolist(),
        clusters.flatten().tolist(),
    ]


@pytest.mark.parametrize("cutoffs", [(), (0,), (-1, 4), (4, 4), (5, 4), (7,), (2, 8)])
def test_cuts_that_do_not_rise_within_the_words_are_our_own_mistake(cutoffs):
    with pytest.raises(AssertionError):
        Clusters(10, cutoffs)


def cost(cutoffs, counts):
    """Logits of a token on average, and what the clusters cost besides, one word at a time."""
    bounds = [*cutoffs, len(counts)]
    total = cutoffs[0] + CLUSTER_WORDS * len(cutoffs)
    for start, end in pairwise(bounds):
        total += (end - start) * counts[start:end].sum() / counts.sum()
    return total


@pytest.mark.parametrize("power", [0.0, 0.7, 1.0, 1.5])
@pytest.mark.parametrize("cluster_words", [0, 3, 40])
def test_no_other_round_numbers_cost_less(power, cluster_words, monkeypatch):
    monkeypatch.setattr("charlm.model.clusters.CLUSTER_WORDS", cluster_words)
    monkeypatch.setitem(globals(), "CLUSTER_WORDS", cluster_words)
    counts = np.arange(1, 71.0) ** -power
    ends = [n for n in ROUND_NUMBERS if n < 70]

    found = best_cutoffs(counts)

    others = [cuts for n in range(1, 4) for cuts in combinations(ends, n)]
    assert cost(found, counts) <= min(cost(cuts, counts) for cuts in others) + 1e-9
    assert set(found) <= set(ends)


@given(st.integers(5, 300_000))
def test_any_vocabulary_can_be_cut(vocab_size):
    cuts = default_cutoffs(vocab_size)

    assert cuts[0] > 0 and cuts[-1] < vocab_size - NUM_SPECIALS
    assert list(cuts) == sorted(set(cuts))
    assert Clusters(vocab_size, cuts).cutoffs == cuts


@pytest.mark.parametrize(("num_words", "times"), [(10_000, 3), (50_000, 7)])
def test_cutting_a_large_vocabulary_saves_most_of_the_logits(num_words, times):
    counts = 1 / np.arange(1, num_words + 1)

    assert times * cost(default_cutoffs(num_words + 3), counts) < num_words
