"""Stand-in models whose probabilities a test can work out by itself."""

from functools import cache

import numpy as np
import pytest
import torch


class PrefixModel:
    """Its state is all the tokens so far; any function of them gives the logits."""

    def __init__(self, logits_after):
        self.logits_after = logits_after
        self.num_steps = 0

    def initial_state(self, batch_size):
        return ((torch.zeros(batch_size, 0, dtype=torch.long),),)

    def step(self, tokens, state):
        self.num_steps += 1
        prefixes = torch.cat([state[0][0], tokens[:, None]], dim=1)
        logits = [self.logits_after(tuple(prefix)) for prefix in prefixes.tolist()]
        return torch.stack(logits), ((prefixes,),)


@pytest.fixture
def prefix_model():
    return PrefixModel


@pytest.fixture
def random_model():
    """A function from seed and vocabulary size to a model with no two equal probabilities."""

    def build(seed, vocab_size, spread=1.0):
        @cache
        def logits_after(prefix):
            rng = np.random.default_rng([seed, *(token + 1 for token in prefix)])
            return torch.tensor(rng.normal(scale=spread, size=vocab_size), dtype=torch.float32)

        return PrefixModel(logits_after)

    return build
