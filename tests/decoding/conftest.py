"""Stand-in models, and all that decoding does with them done again, one number after the other."""

import math
from functools import cache, partial

import numpy as np
import pytest
import torch

from charlm.decoding import Bans, Hypothesis, Rules

WIDTH = 64  # tokens that a PrefixModel can remember
INF = math.inf


class PrefixModel:
    """Its state is all the tokens so far; any function of them gives the logits."""

    def __init__(self, logits_after):
        self.logits_after = logits_after
        self.batch_sizes = []  # of each step taken

    def initial_state(self, batch_size):
        tokens = torch.zeros(batch_size, WIDTH, dtype=torch.long)
        return ((tokens, tokens[:, :1]),)  # the second: how many of them there are

    def step(self, tokens, state):
        self.batch_sizes.append(len(tokens))
        ((prefixes, counts),) = state
        prefixes, counts = prefixes.scatter(1, counts, tokens[:, None]), counts + 1
        rows = zip(prefixes.tolist(), counts.flatten().tolist(), strict=True)
        logits = [self.logits_after(tuple(prefix[:count])) for prefix, count in rows]
        return torch.stack(logits), ((prefixes, counts),)


class MarkovModel:
    """The last token gives the logits: a row of a table (vocab_size, vocab_size)."""

    def __init__(self, table):
        self.table = table

    def logits_after(self, prefix):
        return self.table[prefix[-1]]

    def initial_state(self, batch_size):
        return ((self.table.new_zeros(batch_size, 1),),)

    def step(self, tokens, state):
        return self.table[tokens], state


class EndWatch:
    """Ends a text that ends in one of some strings of tokens."""

    def __init__(self, strings):
        self.strings = strings
        self.tokens = ()

    def push(self, token):
        self.tokens += (token,)
        return any(ends_in(self.tokens, string) for string in self.strings)

    def copy(self):
        other = EndWatch(self.strings)
        other.tokens = self.tokens
        return other


def ends_in(text, string):
    return tuple(text[len(text) - len(string) :]) == string and len(text) >= len(string)


def softmax(logits):
    powers = [math.exp(logit - max(logits)) for logit in logits]
    return [power / sum(powers) for power in powers]


def log_softmax(logits):
    return [math.log(prob) if prob else -INF for prob in softmax(logits)]


def constrain(logits, prompt, text, config, rules, banned=()):
    """What `Constraints` does to the logits of one row; `banned` are strings of tokens."""
    seen, n = [*prompt, *text], config.no_repeat_ngram_size
    ngrams = {tuple(seen[i : i + n]) for i in range(len(seen) - n + 1)} if n else set()
    constrained = []
    for token, logit in enumerate(logits):
        logit += rules.bias.get(token, 0.0)
        if token in seen:
            factor = config.repetition_penalty
            logit = logit * factor if logit < 0 else logit / factor
        logit -= config.presence_penalty * (token in text)
        logit -= config.frequency_penalty * list(text).count(token)
        longer = (*seen, token)
        barred = (
            token in rules.barred
            or (token == rules.stop_id and len(text) < config.min_new_tokens)
            or any(ends_in(longer, string) for string in banned)
            or any(ends_in(longer, ngram) for ngram in ngrams)
        )
        constrained.append(-INF if barred else logit)
    return constrained


def shape(logits, config):
    """What temperature and filters leave of the logits of one row."""

    def keep(logits, kept):
        return [logit if token in kept else -INF for token, logit in enumerate(logits)]

    def first(logits, order, p):
        kept, mass, probs = [], 0.0, softmax(logits)
        for token in order:
            if mass >= p:
                break
            kept.append(token)
            mass += probs[token]
        return keep(logits, kept)

    tokens = range(len(logits))
    logits = [logit / config.temperature for logit in logits]
    if config.top_k is not None:
        least = sorted(logits, reverse=True)[min(config.top_k, len(logits)) - 1]
        logits = keep(logits, [i for i in tokens if logits[i] >= least])
    if config.top_p < 1:
        logits = first(logits, sorted(tokens, key=lambda i: -logits[i]), config.top_p)
    probs = softmax(logits)
    logits = keep(logits, [i for i in tokens if probs[i] >= config.min_p * max(probs)])
    if config.typical_p < 1:
        log_probs = log_softmax(logits)
        entropy = -sum(math.exp(value) * value for value in log_probs if value > -INF)
        typical = sorted(tokens, key=lambda i: abs(-log_probs[i] - entropy))
        logits = first(logits, typical, config.typical_p)
    return logits


def find_every_text(model, prompt, config, rules, *, banned=(), stop_strings=(), sampled=False):
    """All that can be written after a prompt, best score first, by recursion.

    The probabilities are those of a search, or, where `sampled`, those of a draw.
    """
    found = []

    def extend(text, log_prob):
        logits = model.logits_after((*prompt, *text)).tolist()
        if sampled:
            logits = constrain(logits, prompt, text, config, rules, banned)
            log_probs = log_softmax(shape(logits, config))
        else:
            log_probs = constrain(log_softmax(logits), prompt, text, config, rules, banned)
        for token, more in enumerate(log_probs):
            if more == -INF:
                continue
            longer, total = (*text, token), log_prob + more
            score = total / len(longer) ** config.length_penalty
            if token == rules.stop_id:
                found.append(Hypothesis(text, total, score, "<stop>"))
            elif any(ends_in(longer, string) for string in stop_strings):
                found.append(Hypothesis(longer, total, score, "stop string"))
            elif len(longer) == config.max_new_tokens:
                found.append(Hypothesis(longer, total, score, "length"))
            else:
                extend(longer, total)

    extend((), 0.0)
    return sorted(found, key=lambda hypothesis: hypothesis.score, reverse=True)


def make_rules(vocab_size, stop_id, *, banned=(), stop_strings=(), **settings):
    """Rules of a model whose tokens are their own symbols, for strings of tokens."""
    bans = Bans(banned, [(token,) for token in range(vocab_size)]) if banned else None
    watch = partial(EndWatch, stop_strings) if stop_strings else None
    return Rules(vocab_size=vocab_size, stop_id=stop_id, bans=bans, watch=watch, **settings)


def build_random_model(seed, vocab_size, spread=1.0):
    """No two of its probabilities are equal."""

    @cache
    def logits_after(prefix):
        rng = np.random.default_rng([seed, *(token + 1 for token in prefix)])
        return torch.tensor(rng.normal(scale=spread, size=vocab_size), dtype=torch.float32)

    return PrefixModel(logits_after)


def check_same(found, expected):
    """Two lists of hypotheses are the same but for rounding."""
    assert [(h.tokens, h.end) for h in found] == [(h.tokens, h.end) for h in expected]
    assert [h.log_prob for h in found] == pytest.approx([h.log_prob for h in expected])
    assert [h.score for h in found] == pytest.approx([h.score for h in expected])


@pytest.fixture(scope="session")
def prefix_model():
    return PrefixModel


@pytest.fixture(scope="session")
def markov_model():
    return MarkovModel


@pytest.fixture(scope="session")
def random_model():
    return build_random_model


@pytest.fixture(scope="session")
def end_watch():
    """A function from strings of tokens to what begins watches for them."""
    return lambda *strings: partial(EndWatch, strings)


@pytest.fixture(scope="session")
def rules_for():
    return make_rules


@pytest.fixture(scope="session")
def constrained():
    return constrain


@pytest.fixture(scope="session")
def shaped():
    return shape


@pytest.fixture(scope="session")
def every_text():
    return find_every_text


@pytest.fixture(scope="session")
def assert_same():
    return check_same
