"""Scoring of many independent sentences, with shared prefixes read once.

A recogniser's hypotheses for one utterance often share a prefix. After sorting, sentences with a
common prefix are neighbours, and the rows of each step are the distinct prefixes so far:

    the cat sat          the   cat   sat
    the cat sits    ->               sits
    the hat                    hat
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from charlm.data import NOT_PREDICTED
from charlm.device import exact_float32
from charlm.evaluation.predictor import MAX_ROWS, Predictor
from charlm.evaluation.reading import LOGITS, Reading, as_tensor, read_frames, to_numpy

# Prefixes are shared if less than this fraction of the tokens is left to read. Otherwise it is
# faster to read the sentences apart, in longer windows.
WORTH_SHARING = 0.8

Sentence = NDArray[np.int64]


def sentence_nats(
    predictor: Predictor, sentences: Sequence[Sentence], reading: Reading
) -> list[NDArray[np.float64]]:
    """Return the surprisal, in nats, of each token of each sentence except its first, `<start>`.

    The result has one array per sentence, (num_tokens - 1,), in the given order. Up to float32
    rounding it does not depend on the other sentences.
    """
    order = sorted(range(len(sentences)), key=lambda number: sentences[number].tolist())
    ranked = [sentences[number] for number in order]
    shared = shared_beginnings(ranked)
    total = sum(len(sentence) - 1 for sentence in ranked)
    distinct = total - sum(max(length - 1, 0) for length in shared)
    may_share = predictor.max_rows != 1 and reading.lengths_from is None  # length tokens differ
    if may_share and distinct < WORTH_SHARING * total:
        found = read_shared(predictor, ranked, shared, reading)
    else:
        found = read_apart(predictor, ranked, reading)
    nats: list[NDArray[np.float64]] = [np.zeros(0)] * len(sentences)
    for number, values in zip(order, found, strict=True):
        nats[number] = values
    return nats


def shared_beginnings(ranked: Sequence[Sentence]) -> list[int]:
    """Return the length of the prefix that each sentence shares with the one before it."""
    shared = [0]
    for before, sentence in pairwise(ranked):
        length = min(len(before), len(sentence))
        differ = np.flatnonzero(before[:length] != sentence[:length])
        shared.append(int(differ[0]) if len(differ) else length)
    return shared[: len(ranked)]


def read_apart(
    predictor: Predictor, sentences: Sequence[Sentence], reading: Reading
) -> list[NDArray[np.float64]]:
    """Score sentences as the frames of a text, in the order given."""
    if not sentences:
        return []
    scores = read_frames(predictor, np.concatenate(sentences), reading)
    nats = np.concatenate([np.zeros(0), *(part.nats for part in scores)])
    return np.split(nats, np.cumsum([len(sentence) - 1 for sentence in sentences])[:-1])


def read_shared(
    predictor: Predictor, ranked: Sequence[Sentence], shared: Sequence[int], reading: Reading
) -> list[NDArray[np.float64]]:
    """Score sorted sentences in blocks as large as memory and the predictor allow."""
    most = predictor.max_rows or MAX_ROWS
    rows = max(1, min(most, LOGITS // reading.vocab_size))
    found: list[NDArray[np.float64]] = []
    for begin in range(0, len(ranked), rows):
        block = slice(begin, begin + rows)
        found += read_block(predictor, ranked[block], [0, *shared[block][1:]], reading)
    return found


def read_block(
    predictor: Predictor, ranked: Sequence[Sentence], shared: Sequence[int], reading: Reading
) -> list[NDArray[np.float64]]:
    """Score one block of sorted sentences, one token per step."""
    lengths, common = np.array([len(sentence) for sentence in ranked]), np.array(shared)
    tokens = np.full((len(ranked), int(lengths.max())), NOT_PREDICTED)
    for row, sentence in zip(tokens, ranked, strict=True):
        row[: len(sentence)] = sentence
    nats = np.zeros(tokens.shape)
    state = predictor.initial_state(1)
    row_of = np.zeros(len(ranked), dtype=np.int64)  # row of each sentence in the last step
    for place in range(1, tokens.shape[1]):
        going = lengths > place
        # Sentences that agree up to and including this token share the row of the first of them.
        first = np.flatnonzero(going & (common <= place))
        state = predictor.select_rows(state, row_of[first])
        inputs, targets = (tokens[first, at, None] for at in (place - 1, place))
        with exact_float32(reading.device):
            wanted = as_tensor(targets, reading)
            predictions, state = predictor.predict(as_tensor(inputs, reading), wanted, state)
        row_of = np.cumsum(going & (common <= place)) - 1
        nats[:, place] = to_numpy(-predictions.log_probs)[row_of, 0]
    return [row[1:length] for row, length in zip(nats, lengths, strict=True)]
