"""Surprisal of every token of a text: exactly, or faster over parallel streams."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from charlm.data import TokenFile, Window, Windows, make_windows
from charlm.device import Precision, autocast, exact_float32
from charlm.errors import TextError
from charlm.evaluation.result import Evaluation
from charlm.model import LanguageModel, State
from charlm.text import Tokenizer

WINDOW = 512  # tokens per forward pass; the sums do not depend on it


def evaluate(
    model: LanguageModel, text: TokenFile, tokenizer: Tokenizer, *, independent_frames: bool
) -> Evaluation:
    """Measure a text exactly: each token once, in order, with all that comes before it as context.

    That is what a loop over single tokens gives, in float32 with sums in float64.

    Raises:
        TextError: there is no token to predict.
    """
    windows = make_windows(
        text.tokens,
        batch_size=1,
        bptt=WINDOW,
        start_id=tokenizer.start_id,
        independent_frames=independent_frames,
    )
    total_nats = total_nats_other = sum_squared_nats = 0.0
    num_tokens = num_other = num_stop = 0
    with exact_float32(model.device):
        for window, nats in window_nats(model, windows, "float32"):
            other = window.targets == tokenizer.other_id
            total_nats += float(nats.sum())
            total_nats_other += float(nats[other].sum())
            sum_squared_nats += float((nats**2).sum())
            num_tokens += int((window.targets >= 0).sum())
            num_other += int(other.sum())
            num_stop += int((window.targets == tokenizer.stop_id).sum())
    if num_tokens == 0:
        raise TextError("there is no token to predict in the text; name a longer one.")
    return Evaluation(
        total_nats=total_nats,
        total_nats_other=total_nats_other,
        sum_squared_nats=sum_squared_nats,
        num_tokens=num_tokens,
        num_other=num_other,
        num_stop=num_stop,
        num_words=text.counts.num_words,
        num_chars=text.counts.num_chars,
        num_bytes=text.counts.num_bytes,
    )


def estimate_nats(model: LanguageModel, windows: Windows, precision: Precision) -> float:
    """Nats per token over parallel streams: quick, for training; nan where there is no token.

    An estimate: each stream begins without context, and the tail that does not fill all streams
    is left out.
    """
    total, count = 0.0, 0
    for window, nats in window_nats(model, windows, precision):
        total += float(nats.sum())
        count += int((window.targets >= 0).sum())
    return total / count if count else math.nan


def window_nats(
    model: LanguageModel, windows: Windows, precision: Precision
) -> Iterator[tuple[Window, NDArray[np.float64]]]:
    """Each window with the surprisal of its targets in nats, state carried along.

    The model is left as it was, training or not.
    """
    training = model.training
    model.eval()
    try:
        state: State | None = None
        for index in range(len(windows)):
            window = windows[index]
            inputs = torch.from_numpy(window.inputs).to(model.device)
            targets = torch.from_numpy(window.targets).to(model.device)
            with torch.no_grad(), autocast(model.device, precision):
                state = model.carry_state(state, window.fresh)
                nats, state = model.nats(inputs, targets, state)
            yield window, nats.cpu().double().numpy()
    finally:
        model.train(training)
