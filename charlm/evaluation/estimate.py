"""A quick estimate of validation loss, for training."""

import math

import torch
from torch import Tensor

from charlm.data import Windows
from charlm.device import Precision, autocast, to_device
from charlm.evaluation.network import evaluating
from charlm.model import LanguageModel, State


def estimate_nats(model: LanguageModel, windows: Windows, precision: Precision) -> float:
    """Return the mean nats per token over parallel streams, or NaN if there are no tokens.

    This is an estimate: each stream begins without context, and the tail that does not fill all
    streams is left out. The model returns to the mode that it was in, training or evaluation.
    """
    # MPS has no float64. Sums stay on the device to avoid a GPU synchronization per window.
    precise = torch.float32 if model.device.type == "mps" else torch.float64
    sums: list[Tensor] = []
    count = 0
    state: State | None = None
    with evaluating(model), torch.no_grad():
        for index in range(len(windows)):
            window = windows[index]
            inputs = to_device(window.inputs, model.device)
            targets = to_device(window.targets, model.device)
            with autocast(model.device, precision):
                state = model.carry_state(state, window.fresh, window.labels)
                nats, state = model.nats(inputs, targets, state)
            sums.append(nats.sum(dtype=precise))
            count += int((window.targets >= 0).sum())
    return float(torch.stack(sums).cpu().double().sum()) / count if count else math.nan
