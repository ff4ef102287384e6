"""Filters at one, two and three dimensions, against one number after the other."""

import math
from itertools import product

import pytest
import torch

from charlm.decoding.filters import (
    bar_repeated_ngrams,
    bar_tokens,
    favour_tokens,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    keep_typical,
    penalize_frequency,
    penalize_presence,
    penalize_repetition,
    scale_temperature,
)

INF = float("inf")
VOCAB_SIZE = 8
at_every_shape = pytest.mark.parametrize(
    "shape", [(VOCAB_SIZE,), (3, VOCAB_SIZE), (2, 3, VOCAB_SIZE)]
)


def random_logits(shape):
    """Some of them are minus infinity, but one in each row is not."""
    generator = torch.Generator().manual_seed(len(shape))
    logits = torch.randn(shape, generator=generator, dtype=torch.float64) * 2
    barred = torch.rand(shape, generator=generator) < 0.2
    barred[..., 1] = False
    return logits.masked_fill(barred, -INF)


def random_counts(shape):
    return torch.randint(0, 3, shape, generator=torch.Generator().manual_seed(0)).float()


def softmax(row):
    total = sum(math.exp(value) for value in row)
    return [math.exp(value) / total for value in row]


def assert_rows_equal(filtered, naive, logits, *beside):
    """`naive` makes a list of numbers from a row of logits, and of what goes with them."""
    assert filtered.shape == logits.shape
    assert filtered.dtype == logits.dtype
    for place in product(*map(range, logits.shape[:-1])):
        expected = naive(*(values[place].tolist() for values in (logits, *beside)))
        assert filtered[place].tolist() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def keep(row, kept):
    return [value if token in kept else -INF for token, value in enumerate(row)]


def first_to_reach(p, order, probs):
    """The fewest tokens, in this order, that reach `p` together."""
    kept, mass = [], 0.0
    for token in order:
        if mass >= p:
            break
        kept.append(token)
        mass += probs[token]
    return kept


@pytest.mark.parametrize("tokens", [[], [2], [0, 5], [5, 5, 1], list(range(VOCAB_SIZE))])
@at_every_shape
def test_barred_tokens_have_no_probability_and_the_others_keep_their_logits(shape, tokens):
    logits = random_logits(shape)

    barred = bar_tokens(logits, tokens)

    assert_rows_equal(barred, lambda row: keep(row, set(range(VOCAB_SIZE)) - {*tokens}), logits)


def test_tokens_to_bar_may_come_from_an_iterator_or_a_tensor():
    for tokens in (iter([1, 3]), torch.tensor([1, 3])):
        assert (
            bar_tokens(torch.zeros(2, 5), tokens).isfinite().int().tolist() == [[1, 0, 1, 0, 1]] * 2
        )


@pytest.mark.parametrize("bias", [{}, {3: 2.5}, {0: -1.0, 7: 1e4}])
@at_every_shape
def test_a_bias_is_added_to_the_logits_of_its_tokens(shape, bias):
    logits = random_logits(shape)

    favoured = favour_tokens(logits, bias)

    assert_rows_equal(favoured, lambda row: [v + bias.get(i, 0) for i, v in enumerate(row)], logits)


@pytest.mark.parametrize("penalty", [0.5, 1.3, 10.0])
@at_every_shape
def test_repeated_tokens_are_penalized_by_a_factor(shape, penalty):
    logits, counts = random_logits(shape), random_counts(shape)

    penalized = penalize_repetition(logits, counts, penalty)

    def naive(row, counted):
        factors = [penalty if value < 0 else 1 / penalty for value in row]
        return [v * f if count else v for v, f, count in zip(row, factors, counted, strict=True)]

    assert_rows_equal(penalized, naive, logits, counts)


@pytest.mark.parametrize("penalty", [-0.5, 0.75, 3.0])
@at_every_shape
def test_presence_costs_once_and_frequency_costs_each_time(shape, penalty):
    logits, counts = random_logits(shape), random_counts(shape)

    present = penalize_presence(logits, counts, penalty)
    frequent = penalize_frequency(logits, counts, penalty)

    def subtract(row, times):
        return [value - penalty * n for value, n in zip(row, times, strict=True)]

    assert_rows_equal(present, lambda row, n: subtract(row, map(bool, n)), logits, counts)
    assert_rows_equal(frequent, subtract, logits, counts)


@pytest.mark.parametrize("penalize", [penalize_presence, penalize_frequency])
def test_penalties_are_as_exact_as_the_logits(penalize):
    penalized = penalize(torch.zeros(2, dtype=torch.float64), torch.tensor([0.0, 1.0]), 0.7)

    assert penalized.tolist() == [0, -0.7]


@at_every_shape
@pytest.mark.parametrize("penalize", [penalize_repetition, penalize_presence, penalize_frequency])
def test_counts_of_one_text_serve_all_rows(penalize, shape):
    logits, counts = random_logits(shape), random_counts((VOCAB_SIZE,))

    assert penalize(logits, counts, 1.5).equal(penalize(logits, counts.expand(shape), 1.5))


def naive_repeats(size):
    """Bars what would complete an n-gram again."""

    def naive(row, text):
        text = [token for token in text if token >= 0]
        if len(text) < size:
            return row
        begun = text[len(text) - size + 1 :]
        places = range(len(text) - size + 1)
        again = {text[i + size - 1] for i in places if text[i : i + size - 1] == begun}
        return keep(row, set(range(VOCAB_SIZE)) - again)

    return naive


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 12])
@at_every_shape
def test_no_ngram_is_completed_twice(shape, length, size):
    logits = random_logits(shape)
    generator = torch.Generator().manual_seed(length)
    tokens = torch.randint(0, 2, (*shape[:-1], length), generator=generator)

    barred = bar_repeated_ngrams(logits, tokens, size)

    assert_rows_equal(barred, naive_repeats(size), logits, tokens)


@pytest.mark.parametrize("size", [1, 2, 3])
@at_every_shape
def test_what_fills_shorter_texts_is_no_part_of_an_ngram(shape, size):
    logits = random_logits(shape)
    generator = torch.Generator().manual_seed(size)
    tokens = torch.randint(0, 2, (*shape[:-1], 6), generator=generator)
    filled = torch.randint(0, 7, (*shape[:-1], 1), generator=generator)
    tokens = tokens.masked_fill(torch.arange(6) < filled, -1)

    barred = bar_repeated_ngrams(logits, tokens, size)

    assert_rows_equal(barred, naive_repeats(size), logits, tokens)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
@at_every_shape
def test_temperature_raises_probabilities_to_its_inverse(shape, temperature):
    logits = random_logits(shape)

    probs = scale_temperature(logits, temperature).softmax(-1)

    def naive(row):
        powers = [p ** (1 / temperature) for p in softmax(row)]
        return [power / sum(powers) for power in powers]

    assert_rows_equal(probs, naive, logits)


@pytest.mark.parametrize("temperature", [1e-3, 1e-300, 5e-324])
def test_the_coldest_temperatures_leave_the_most_likely_token_alone(temperature):
    logits = torch.tensor([1.0, -INF, 3.0, -2.0], dtype=torch.float64)

    assert scale_temperature(logits, temperature).softmax(-1).tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize("k", [1, 2, 5, VOCAB_SIZE - 1])
@at_every_shape
def test_top_k_keeps_the_most_likely_tokens(shape, k):
    logits = random_logits(shape)

    kept = keep_top_k(logits, k)

    def naive(row):
        return keep(row, sorted(range(VOCAB_SIZE), key=lambda token: -row[token])[:k])

    assert_rows_equal(kept, naive, logits)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (1, 1, 4)])
def test_top_k_keeps_the_first_of_those_as_likely_as_the_last(shape):
    logits = torch.tensor([2.0, 3.0, 2.0, 2.0]).view(shape)

    assert keep_top_k(logits, 1).flatten().tolist() == [-INF, 3, -INF, -INF]
    assert keep_top_k(logits, 3).flatten().tolist() == [2, 3, 2, -INF]
    assert keep_top_k(torch.zeros(shape), 1).flatten().tolist() == [0, -INF, -INF, -INF]


@pytest.mark.parametrize("p", [1e-300, 0.3, 0.5, 0.9, 0.999])
@at_every_shape
def test_top_p_keeps_the_fewest_most_likely_tokens_that_reach_p(shape, p):
    logits = random_logits(shape)

    kept = keep_top_p(logits, p)

    def naive(row):
        order = sorted(range(VOCAB_SIZE), key=lambda token: -row[token])
        return keep(row, first_to_reach(p, order, softmax(row)))

    assert_rows_equal(kept, naive, logits)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (1, 1, 4)])
@pytest.mark.parametrize(
    ("p", "kept"),
    [(0.1, [1, 0, 0, 0]), (0.5, [1, 0, 0, 0]), (0.6, [1, 1, 0, 0]), (0.9, [1, 1, 1, 1])],
)
def test_top_p_of_known_probabilities(shape, p, kept):
    logits = torch.tensor([0.5, 0.25, 0.125, 0.125]).log().view(shape)

    assert keep_top_p(logits, p).isfinite().int().flatten().tolist() == kept


@pytest.mark.parametrize("keep_some", [keep_top_p, keep_typical])
def test_of_equally_likely_tokens_the_first_are_kept(keep_some):
    assert keep_some(torch.zeros(4), 0.5).isfinite().tolist() == [True, True, False, False]


@pytest.mark.parametrize("p", [0.01, 0.2, 0.7, 1.0])
@at_every_shape
def test_min_p_keeps_what_is_probable_enough_beside_the_most_likely(shape, p):
    logits = random_logits(shape)

    kept = keep_min_p(logits, p)

    def naive(row):
        probs = softmax(row)
        return keep(row, [i for i, prob in enumerate(probs) if prob >= p * max(probs)])

    assert_rows_equal(kept, naive, logits)


@pytest.mark.parametrize("p", [1e-300, 0.2, 0.5, 0.9])
@at_every_shape
def test_typical_tokens_have_about_the_surprisal_to_be_expected(shape, p):
    logits = random_logits(shape)

    kept = keep_typical(logits, p)

    def naive(row):
        probs = softmax(row)
        surprisals = [-math.log(prob) if prob else INF for prob in probs]
        entropy = sum(p * s for p, s in zip(probs, surprisals, strict=True) if p)
        order = sorted(range(VOCAB_SIZE), key=lambda token: abs(surprisals[token] - entropy))
        return keep(row, first_to_reach(p, order, probs))

    assert_rows_equal(kept, naive, logits)


def test_the_most_likely_token_need_not_be_typical():
    logits = torch.tensor([0.4, *[0.03] * 20]).log()  # 0.9 nats, or 3.5; 2.5 are expected

    assert keep_typical(logits, 0.55).isfinite().tolist() == [False, *[True] * 19, False]


NEUTRAL = {
    "bar_tokens": lambda logits: bar_tokens(logits, []),
    "favour_tokens": lambda logits: favour_tokens(logits, {}),
    "penalize_repetition": lambda logits: penalize_repetition(logits, logits * 0 + 2, 1.0),
    "penalize_presence": lambda logits: penalize_presence(logits, torch.ones_like(logits), 0.0),
    "penalize_frequency": lambda logits: penalize_frequency(logits, torch.ones_like(logits), 0.0),
    "bar_repeated_ngrams": lambda logits: bar_repeated_ngrams(
        logits, torch.zeros(*logits.shape[:-1], 9, dtype=torch.long), 0
    ),
    "keep_top_k": lambda logits: keep_top_k(logits, VOCAB_SIZE + 5),
    "keep_top_p": lambda logits: keep_top_p(logits, 1.0),
    "keep_min_p": lambda logits: keep_min_p(logits, 0.0),
    "keep_typical": lambda logits: keep_typical(logits, 1.0),
}


@pytest.mark.parametrize("name", NEUTRAL)
@at_every_shape
def test_a_neutral_value_changes_nothing(shape, name):
    logits = random_logits(shape)

    assert NEUTRAL[name](logits).equal(logits)


@at_every_shape
def test_a_temperature_of_one_changes_no_probability(shape):
    logits = random_logits(shape)

    torch.testing.assert_close(scale_temperature(logits, 1.0).softmax(-1), logits.softmax(-1))


ACTIVE = {
    "bar_tokens": lambda logits: bar_tokens(logits, [0, 1]),
    "favour_tokens": lambda logits: favour_tokens(logits, {2: 1.0}),
    "penalize_repetition": lambda logits: penalize_repetition(logits, torch.ones(8), 2.0),
    "penalize_presence": lambda logits: penalize_presence(logits, torch.ones(8), 2.0),
    "penalize_frequency": lambda logits: penalize_frequency(logits, torch.ones(8), 2.0),
    "bar_repeated_ngrams": lambda logits: bar_repeated_ngrams(
        logits, torch.full((*logits.shape[:-1], 9), 2), 2
    ),
    "scale_temperature": lambda logits: scale_temperature(logits, 0.5),
    "keep_top_k": lambda logits: keep_top_k(logits, 2),
    "keep_top_p": lambda logits: keep_top_p(logits, 0.4),
    "keep_min_p": lambda logits: keep_min_p(logits, 0.9),
    "keep_typical": lambda logits: keep_typical(logits, 0.4),
}


@pytest.mark.parametrize("name", ACTIVE)
@at_every_shape
def test_the_logits_given_stay_as_they_are(shape, name):
    logits = random_logits(shape)
    before = logits.clone()

    filtered = ACTIVE[name](logits)

    assert logits.equal(before)
    assert not filtered.equal(before)
