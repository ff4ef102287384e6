"""A quick estimate of the surprisal of a text, for training."""

import math

import torch

from charlm.data import Windows
from charlm.device import Precision, autocast
from charlm.evaluation.network import evaluating
from charlm.model import LanguageModel, State


def estimate_nats(model: LanguageModel, windows: Windows, precision: Precision) -> float:
    """Nats per token over parallel streams: quick, for training; nan where there is no token.

    An estimate: each stream begins without context, and the tail that does not fill all streams
    is left out. The model is left as it was, training or not.
    """
    total, count = 0.0, 0
    state: State | None = None
    with evaluating(model):
        for index in range(len(windows)):
            window = windows[index]
            inputs = torch.from_numpy(window.inputs).to(model.device)
            targets = torch.from_numpy(window.targets).to(model.device)
            with torch.no_grad(), autocast(model.device, precision):
                state = model.carry_state(state, window.fresh)
                nats, state = model.nats(inputs, targets, state)
            total += float(nats.cpu().double().sum())
            count += int((window.targets >= 0).sum())
    return total / count if count else math.nan
