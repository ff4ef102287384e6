"""Bidirectional scores: each token given its left and its right context (pseudo-log-likelihood).

Besag 1975; for language models Wang & Cho 2019 (arXiv:1902.04094) and Salazar et al. 2020
(arXiv:1910.14659). A forward and a backward model each predict from one side. If the two sides
were independent given the token, Bayes' rule would give

    P(w | left, right) = P(w | left) P(w | right) / P(w), normalized over all w

and this approximation is used. `<stop>` is predicted from the left side alone, because its right
side only reveals that it is there. A length token is part of the given context and has no cost.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from charlm.data import find_frames
from charlm.device import exact_float32
from charlm.evaluation.network import NetworkPredictor
from charlm.evaluation.predictor import Predictions
from charlm.evaluation.reading import Reading, Tokens, as_tensor, measure, pick, read_text
from charlm.evaluation.token_scores import TokenScores
from charlm.model import State


@dataclass(frozen=True, slots=True)
class BothWays:
    """A forward and a backward network over one vocabulary, and the token frequencies."""

    forward: NetworkPredictor
    backward: NetworkPredictor
    log_frequencies: Tensor  # (vocab_size,), in nats; minus infinity: never a candidate
    stop_id: int

    def combine(self, forward: Tensor, backward: Tensor, targets: Tensor) -> Tensor:
        """Return log P given both sides, in nats, of shape (..., vocab_size).

        Args:
            forward: log P given the left side, (..., vocab_size).
            backward: log P given the right side, (..., vocab_size).
            targets: token ids, (...). For `<stop>`, only the left side is used.
        """
        prior = self.log_frequencies
        never = prior == -torch.inf
        joint = (forward + backward - prior.masked_fill(never, 0.0)).masked_fill(never, -torch.inf)
        stops = (targets == self.stop_id).unsqueeze(-1)
        return torch.where(stops, forward, joint.log_softmax(-1))


def read_both_ways(
    models: BothWays, tokens: Tokens, turned: Tokens, reading: Reading
) -> Iterator[TokenScores]:
    """Yield the scores of all tokens except `<start>`, each once, in order.

    Args:
        models: the forward and the backward network.
        tokens: tokens of the text, (num_tokens,).
        turned: the same text reversed for the backward model, as `charlm.data.turn` returns it.
        reading: its `context` sets whether each side spans the whole text or only the frame.
    """
    if reading.context == "stream" and len(tokens) > 2:
        yield from read_stretch(models, tokens, turned, reading)
        return
    for starts, ends in find_frames(tokens, reading.start_id):
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            mirrored = turned[len(tokens) - end : len(tokens) - start]
            if end - start > 2:
                ahead, behind = (told(t, reading) for t in (tokens[start:end], mirrored))
                yield from read_stretch(models, ahead, behind, reading)
            else:  # an empty frame: only <start> and <stop>
                yield from read_text(models.forward, tokens[start:end], reading)


def told(frame: Tokens, reading: Reading) -> Tokens:
    """Return a frame with a length token in place of `<start>` if `lengths_from` is set."""
    if reading.lengths_from is None:
        return frame
    wide = frame.astype(np.int64)
    wide[0] = reading.lengths_from + len(frame) - 2
    return wide


def read_stretch(
    models: BothWays, tokens: Tokens, turned: Tokens, reading: Reading
) -> Iterator[TokenScores]:
    """Yield scores for a text or frame, without context beyond its ends.

    The first token is not scored. The backward model first passes over all windows to compute its
    state before each one. It then reads each window again, from that state, together with the
    forward model. Memory for distributions is therefore limited to one window.
    """
    size, window = len(tokens), reading.window(models.forward)
    # Positions of each window's targets. Backwards, nothing precedes the last token, a <stop>, so
    # the backward model does not predict it. It must share a window with other targets.
    bounds = [*range(1, max(2, size - 1), window), size]
    windows = [slice(begin, end) for begin, end in pairwise(bounds)]

    def mirrored(places: slice) -> Tensor:
        """Return the backward model's inputs that predict the tokens at `places`, last first."""
        inputs = turned[max(0, size - places.stop - 1) : size - places.start - 1]
        return as_row(inputs, reading)

    states: list[State] = []  # of the backward model before each window, in backward order
    state = models.backward.initial_state(1)
    for places in reversed(windows):
        states.append(state)
        with exact_float32(reading.device):
            state = models.backward.advance(mirrored(places), state)
    state = models.forward.initial_state(1)
    for places in windows:
        inputs = as_row(tokens[places.start - 1 : places.stop - 1], reading)
        targets = as_row(tokens[places], reading)
        with exact_float32(reading.device):
            _, ahead, state = models.forward.read(inputs, targets, state)
            _, behind, _ = models.backward.read(mirrored(places), targets, states.pop())
        behind = pad(behind.flip(1), (0, 0, 0, ahead.shape[1] - behind.shape[1]))
        log_probs = models.combine(ahead.log_softmax(-1), behind.log_softmax(-1), targets)
        own = log_probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
        predictions = Predictions(log_probs=own, distribution=log_probs.clone)
        yield pick(measure(predictions, targets, reading), tokens[None, places] != reading.start_id)


def as_row(tokens: Tokens, reading: Reading) -> Tensor:
    """Return tokens as a batch of one row, (1, num_tokens), on the device."""
    return as_tensor(tokens.astype(np.int64)[None], reading)
