"""Texts scored at random, at all levels; small random models, and what they say token by token."""

from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
import pytest
import torch

from charlm.data import NOT_PREDICTED, Framing, Piece, frame_pieces, join_frames
from charlm.evaluation import NetworkPredictor, Reading, TokenScores, read_text, token_surprisals
from charlm.model import LanguageModel, ModelConfig
from charlm.text import TextConfig, build_tokenizer

TALE = 'The fox said: "Don\'t eat 3.14 moons!" The <unk> owl (old, naïve) ate the 朝 😀. <eos>\r\n'
CONFIGS = {
    "char": TextConfig(level="char"),
    "byte": TextConfig(level="byte"),
    "bpe": TextConfig(level="bpe", vocab_size=320),
    "word": TextConfig(level="word"),
    "lowercase": TextConfig(level="word", vocab_size=8, lowercase=True),
    "pretokenized": TextConfig(level="word", vocab_size=8, pretokenized=True),
}


@dataclass
class Scored:
    """A text with made-up scores of its tokens; `surprisals()` is what is tested."""

    text: str
    tokenizer: object
    pieces: list[Piece]
    chunks: list[TokenScores]

    def surprisals(self):
        return list(token_surprisals(self.pieces, self.tokenizer, self.chunks))

    @property
    def total(self):
        return sum(chunk.nats.sum() for chunk in self.chunks)


def cut(values, places):
    return np.split(values, np.clip(places, 0, len(values)))


@pytest.fixture(scope="session")
def text_tokenizers():
    """By name: the levels, "lowercase" and "pretokenized"."""
    return {name: build_tokenizer(config, [TALE] * 2) for name, config in CONFIGS.items()}


@pytest.fixture(scope="session")
def scored(text_tokenizers):
    """A function: score a text, read as frames, at random; the scores come in random chunks."""

    def score(name, text, frame="document", seed=0, details=True):
        tokenizer = text_tokenizers[name]
        framing = Framing(frame=frame, pretokenized=tokenizer.pretokenized)
        pieces = list(frame_pieces([text], framing))
        tokens = join_frames(pieces, tokenizer)
        targets = tokens[tokens != tokenizer.start_id].astype(np.int64)
        rng = np.random.default_rng(seed)
        nats, entropy, ending = rng.exponential(3, (3, len(targets)))
        rank = rng.integers(1, 99, len(targets))
        places = np.sort(rng.integers(0, len(targets) + 1, 3))
        parts = [cut(values, places) for values in (targets, nats, entropy, rank, ending)]
        chunks = [
            TokenScores(targets=t, nats=n, entropy=h, rank=r, ending=e)
            if details
            else TokenScores(targets=t, nats=n)
            for t, n, h, r, e in zip(*parts, strict=True)
        ]
        return Scored(text, tokenizer, pieces, chunks)

    return score


VOCAB_SIZE, START, STOP, OTHER = 27, 24, 25, 26  # of the small models


def build_model(cell="lstm", seed=0, **settings):
    torch.manual_seed(seed)
    layers = 1 if "jordan" in cell else 2
    sizes = {"embedding_size": 8, "hidden_size": 8, "num_layers": layers} | settings
    model = LanguageModel(ModelConfig(vocab_size=VOCAB_SIZE, cell=cell, dropout=0.5, **sizes))
    spread = 0.4 if cell == "rnn-relu" else 0.7  # far from uniform, so that context matters
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=spread)
    return model.eval()


def draw_frames(seed=0, lengths=(7, 0, 30, 1, 12, 3, 3, 21)):
    """A text of frames with so many tokens between <start> and <stop>, some of them <other>."""
    rng = np.random.default_rng(seed)
    symbols = [*range(START), OTHER, OTHER, OTHER]
    frames = [[START, *rng.choice(symbols, size=length), STOP] for length in lengths]
    return np.concatenate([np.zeros(0, int), *frames]).astype(np.uint8)


@torch.no_grad()
def loop(model, tokens, context="stream"):
    """Hidden vectors (n, hidden_size) and log P of what follows (n, vocab_size), step by step."""
    hidden, log_probs = np.zeros((0, model.config.hidden_size)), np.zeros((0, VOCAB_SIZE))
    state = model.initial_state(1)
    for token in tokens.tolist():
        if context == "frame" and token == START:
            state = model.initial_state(1)
        own, state = model.body(torch.tensor([[token]]), state)
        hidden = np.concatenate([hidden, own[0].double().numpy()])
        logits = model.head(own)[0].double()
        log_probs = np.concatenate([log_probs, logits.log_softmax(-1).numpy()])
    return hidden, log_probs


def surprisals(log_probs, tokens):
    """Targets and nats of all tokens but <start>, where row i of log_probs tells of token i + 1."""
    targets = tokens[1:].astype(int)
    nats = -log_probs[np.arange(len(targets)), targets]
    return targets[targets != START], nats[targets != START]


def join_scores(chunks):
    """All scores as one."""
    chunks = list(chunks)
    values = {f.name: [getattr(chunk, f.name) for chunk in chunks] for f in fields(TokenScores)}
    return TokenScores(
        **{
            name: None if any(value is None for value in parts) else np.concatenate(parts)
            for name, parts in values.items()
        }
    )


def make_reading(context="stream", **details):
    device = torch.device("cpu")
    return Reading(start_id=START, vocab_size=VOCAB_SIZE, context=context, device=device, **details)


def read_with(predictor, tokens, context="stream", **details):
    return join_scores(read_text(predictor, tokens, make_reading(context, **details)))


def predict_rows(predictor, rows, cuts=()):
    """What is said of rows of tokens (batch, length), read in windows that begin at the cuts.

    Returns:
        log P of what follows, (batch, length - 1), and of all that might, with a last axis more.
    """
    tokens = torch.as_tensor(rows)
    inputs, targets = tokens[:, :-1], tokens[:, 1:].clone()
    targets[targets == START] = NOT_PREDICTED
    bounds = [0, *cuts, inputs.shape[1]]
    state, log_probs, distributions = predictor.initial_state(len(rows)), [], []
    for begin, end in pairwise(bounds):
        window = slice(begin, end)
        predictions, state = predictor.predict(inputs[:, window], targets[:, window], state)
        log_probs.append(predictions.log_probs)
        distributions.append(predictions.distribution())
    return torch.cat(log_probs, 1).double().numpy(), torch.cat(distributions, 1).double().numpy()


@pytest.fixture(scope="session")
def small_model():
    """A function: a network of 27 tokens with random weights; `cell`, `seed` and sizes."""
    return build_model


@pytest.fixture(scope="session")
def network():
    """A function, as `small_model`, to a predictor."""
    return lambda *args, **settings: NetworkPredictor(build_model(*args, **settings))


@pytest.fixture(scope="session")
def random_text():
    return draw_frames


@pytest.fixture(scope="session")
def looped():
    """What a model says of a text in a loop over single tokens."""
    return loop


@pytest.fixture(scope="session")
def predicted():
    return surprisals


@pytest.fixture(scope="session")
def reading():
    return make_reading


@pytest.fixture(scope="session")
def read():
    """A function: what a predictor says of a text, all its scores as one."""
    return read_with


@pytest.fixture(scope="session")
def joined():
    return join_scores


@pytest.fixture(scope="session")
def said():
    return predict_rows
