"""Each token from what stands on its left and on its right: pseudo-log-likelihood.

Besag 1975; of language models Wang & Cho 2019 (arXiv:1902.04094), Salazar et al. 2020
(arXiv:1910.14659). Two models that read in opposite directions know a side each. If the sides did
not depend on one another but through the token, Bayes' rule would give

    P(w | left, right) = P(w | left) P(w | right) / P(w), over its sum for all w

and that is what is taken. `<stop>` is predicted from the left alone: what is on its right says no
more than that it is there. A length that was foretold is given, like all that stands around a
token, and costs nothing here.
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
    """Two networks over one vocabulary, and how frequent its tokens are."""

    forward: NetworkPredictor
    backward: NetworkPredictor
    log_frequencies: Tensor  # (vocab_size,), in nats; minus infinity fills no place
    stop_id: int

    def combine(self, forward: Tensor, backward: Tensor, targets: Tensor) -> Tensor:
        """Log P given both sides, from log P given each.

        Args:
            forward: given the left side, (..., vocab_size).
            backward: given the right side, (..., vocab_size).
            targets: (...); where they are `<stop>`, the left side counts alone.
        """
        prior = self.log_frequencies
        never = prior == -torch.inf
        joint = (forward + backward - prior.masked_fill(never, 0.0)).masked_fill(never, -torch.inf)
        stops = (targets == self.stop_id).unsqueeze(-1)
        return torch.where(stops, forward, joint.log_softmax(-1))


def read_both_ways(
    models: BothWays, tokens: Tokens, turned: Tokens, reading: Reading
) -> Iterator[TokenScores]:
    """Scores of all tokens but `<start>`, each once, in order.

    Args:
        models: that predict.
        tokens: of the text.
        turned: the same in the order of the backward model, as `charlm.data.turn` has them.
        reading: whether a side is all of the text or the frame alone.
    """
    if reading.context == "stream":
        yield from read_stretch(models, tokens, turned, reading)
        return
    for starts, ends in find_frames(tokens, reading.start_id):
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            mirrored = turned[len(tokens) - end : len(tokens) - start]
            if end - start > 2:
                ahead, behind = (told(t, reading) for t in (tokens[start:end], mirrored))
                yield from read_stretch(models, ahead, behind, reading)
            else:  # nothing but its ends
                yield from read_text(models.forward, tokens[start:end], reading)


def told(frame: Tokens, reading: Reading) -> Tokens:
    """A frame that begins with its length, if the models are to know it."""
    if reading.lengths_from is None:
        return frame
    wide = frame.astype(np.int64)
    wide[0] = reading.lengths_from + len(frame) - 2
    return wide


def read_stretch(
    models: BothWays, tokens: Tokens, turned: Tokens, reading: Reading
) -> Iterator[TokenScores]:
    """Scores of the tokens after the first of a stretch that knows nothing beyond its ends.

    The backward model goes through it once to find its state before each window. From there it
    reads the window again when the forward model comes to it.
    """
    size, window = len(tokens), reading.window(models.forward)
    # Of the windows' targets. Nothing comes before the last token, a <stop>, when a stretch is read
    # backwards, so it is the last of a window of several.
    bounds = [*range(1, max(2, size - 1), window), size]
    windows = [slice(begin, end) for begin, end in pairwise(bounds)]

    def mirrored(places: slice) -> Tensor:
        """What the backward model reads to predict the tokens at these places, last one first."""
        inputs = turned[max(0, size - places.stop - 1) : size - places.start - 1]
        return as_row(inputs, reading)

    states: list[State] = []  # of the backward model before each window, the last window's first
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
    """A batch of one."""
    return as_tensor(tokens.astype(np.int64)[None], reading)
