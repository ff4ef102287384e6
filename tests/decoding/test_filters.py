"""Filters at any leading shape, against one number after the other."""

import numpy as np
import pytest
import torch

from charlm.decoding import bar_tokens, scale_temperature

SHAPES = [(6,), (4, 6), (2, 3, 6)]


@pytest.mark.parametrize("tokens", [[], [2], [0, 5], [5, 5, 1], [0, 1, 2, 3, 4, 5]])
@pytest.mark.parametrize("shape", SHAPES)
def test_barred_tokens_have_no_probability_and_the_others_keep_their_logits(shape, tokens):
    torch.manual_seed(0)
    logits = torch.randn(shape)
    before = logits.clone()

    barred = bar_tokens(logits, tokens)

    for position in np.ndindex(*shape):
        expected = float("-inf") if position[-1] in tokens else float(before[position])
        assert float(barred[position]) == expected
    assert barred.shape == shape
    assert logits.equal(before)


def test_barring_nothing_gives_a_copy():
    logits = torch.zeros(6)

    bar_tokens(logits, [])[0] = 1.0

    assert not logits.any()


def test_tokens_to_bar_may_come_from_an_iterator():
    barred = bar_tokens(torch.zeros(2, 6), iter([1, 3]))

    assert barred.isfinite().int().tolist() == [[1, 0, 1, 0, 1, 1]] * 2


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("shape", SHAPES)
def test_temperature_raises_probabilities_to_its_inverse(shape, temperature):
    torch.manual_seed(0)
    logits = torch.randn(shape, dtype=torch.float64)
    before = logits.clone()

    probabilities = scale_temperature(logits, temperature).softmax(dim=-1)

    powers = np.exp(before.numpy()) ** (1 / temperature)
    np.testing.assert_allclose(probabilities, powers / powers.sum(axis=-1, keepdims=True))
    assert logits.equal(before)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_temperature_leaves_barred_tokens_barred(temperature):
    scaled = scale_temperature(torch.tensor([1.0, float("-inf"), -2.0]), temperature)

    assert scaled.isneginf().tolist() == [False, True, False]
    assert not scaled.isnan().any()
