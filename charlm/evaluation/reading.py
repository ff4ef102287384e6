"""Scoring of a text with a predictor: as one stream, or frame by frame in batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charlm.data import NOT_PREDICTED, find_frames, make_windows
from charlm.device import exact_float32
from charlm.evaluation.predictor import MAX_ROWS, WINDOW, Predictions, Predictor
from charlm.evaluation.token_scores import TokenScores

Context = Literal["stream", "frame"]
"""What a token is predicted from: all of the text before it, or of its frame."""

LOGITS = 1 << 24  # maximum number of logits in memory at a time: 64 MiB
BLOCK = 1 << 18  # tokens per block; frames of similar length in a block are batched


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Settings of reading a text: context, device and requested scores."""

    start_id: int
    vocab_size: int
    context: Context
    device: torch.device
    details: bool = False  # also compute entropy and rank
    lengths_from: int | None = None  # as in `charlm.data.FrameWindows`
    ending_ids: tuple[int, ...] = ()  # with details: also compute `ending`, their joint -log P

    def window(self, predictor: Predictor, rows: int = 1) -> int:
        """Return the number of tokens to read at a time, a multiple of the predictor's stride."""
        fitting = max(1, min(WINDOW, LOGITS // (self.vocab_size * rows)))
        return max(1, fitting // predictor.stride) * predictor.stride


Tokens = NDArray[np.integer]


def read_text(predictor: Predictor, tokens: Tokens, reading: Reading) -> Iterator[TokenScores]:
    """Return an iterator over the scores of all tokens except `<start>`, each once, in order.

    In either context the scores equal those of reading token by token, up to float32 rounding.
    """
    read = read_stream if reading.context == "stream" else read_frames
    return read(predictor, tokens, reading)


def read_stream(predictor: Predictor, tokens: Tokens, reading: Reading) -> Iterator[TokenScores]:
    """Yield the scores of each token given all tokens of the text before it."""
    windows = make_windows(
        tokens,
        batch_size=1,
        bptt=reading.window(predictor),
        start_id=reading.start_id,
        independent_frames=False,
    )
    state = predictor.initial_state(1)
    for index in range(len(windows)):
        window = windows[index]
        inputs, targets = (as_tensor(a, reading) for a in (window.inputs, window.targets))
        with exact_float32(reading.device):
            predictions, state = predictor.predict(inputs, targets, state)
        scores = measure(predictions, targets, reading)
        yield pick(scores, window.targets != NOT_PREDICTED)


def read_frames(predictor: Predictor, tokens: Tokens, reading: Reading) -> Iterator[TokenScores]:
    """Yield the scores of each token given the tokens of its frame before it."""
    for starts, ends in find_frames(tokens, reading.start_id):
        for block in blocks(ends - starts):
            places = zip(starts[block], ends[block], strict=True)
            yield from read_block(predictor, [tokens[a:b] for a, b in places], reading)


def read_block(
    predictor: Predictor, frames: Sequence[Tokens], reading: Reading
) -> Iterator[TokenScores]:
    """Yield the scores of frames, each of which begins with `<start>`, in order.

    Frames of similar length are read together as rows of a batch, the longest first. A row leaves
    the batch when its frame ends.
    """
    if len(frames) == 1:  # may be very long, so its scores are not collected
        yield from (scores for _, scores in read_batch(predictor, frames, reading))
        return
    found: dict[int, list[TokenScores]] = {}
    order = sorted(range(len(frames)), key=lambda index: -len(frames[index]))
    for batch in batches(order, frames, predictor, reading):
        for row, scores in read_batch(predictor, [frames[index] for index in batch], reading):
            found.setdefault(batch[row], []).append(scores)
    for index in range(len(frames)):
        yield from found.get(index, [])


def read_batch(
    predictor: Predictor, frames: Sequence[Tokens], reading: Reading
) -> Iterator[tuple[int, TokenScores]]:
    """Yield each frame's index and its scores, window by window.

    The frames must be sorted by length, the longest first.
    """
    lengths = np.array([len(frame) - 1 for frame in frames])  # number of targets
    window = reading.window(predictor, len(frames))
    state = predictor.initial_state(len(frames))
    rows = len(frames)
    for begin in range(0, int(lengths.max(initial=0)), window):
        going = int((lengths > begin).sum())
        if going < rows:
            state, rows = predictor.select_rows(state, np.arange(going)), going
        time = min(window, int(lengths[0]) - begin)
        inputs = np.zeros((rows, time), dtype=np.int64)
        targets = np.full((rows, time), NOT_PREDICTED, dtype=np.int64)
        for row, frame in enumerate(frames[:rows]):
            part = frame[begin : begin + time + 1]
            inputs[row, : len(part) - 1], targets[row, : len(part) - 1] = part[:-1], part[1:]
        if begin == 0 and reading.lengths_from is not None:
            inputs[:, 0] = reading.lengths_from + lengths - 1
        with exact_float32(reading.device):
            wanted = as_tensor(targets, reading)
            predictions, state = predictor.predict(as_tensor(inputs, reading), wanted, state)
        scores = measure(predictions, wanted, reading)
        for row in range(rows):
            yield row, pick(scores, targets != NOT_PREDICTED, row)


def measure(predictions: Predictions, targets: Tensor, reading: Reading) -> TokenScores:
    """Return the requested scores of each position of a window, as arrays (batch, time)."""
    scores = TokenScores(targets=targets.cpu().numpy(), nats=to_numpy(-predictions.log_probs))
    if not reading.details:
        return scores
    log_probs = predictions.distribution()
    own = log_probs.gather(-1, targets.clamp(min=0).unsqueeze(-1))
    scores = replace(
        scores,
        entropy=to_numpy(torch.special.entr(log_probs.exp()).sum(-1)),
        rank=1 + (log_probs > own).sum(-1).cpu().numpy(),
    )
    if not reading.ending_ids:
        return scores
    ending = log_probs[..., list(reading.ending_ids)].logsumexp(-1)
    return replace(scores, ending=to_numpy(-ending))


def pick(scores: TokenScores, predicted: NDArray[np.bool_], row: int = 0) -> TokenScores:
    """Return the scores of one row, limited to the positions where `predicted` is true.

    `predicted` and the arrays of `scores` are (batch, time).
    """
    kept = predicted[row]
    return TokenScores(
        targets=scores.targets[row][kept],
        nats=scores.nats[row][kept],
        entropy=None if scores.entropy is None else scores.entropy[row][kept],
        rank=None if scores.rank is None else scores.rank[row][kept],
        ending=None if scores.ending is None else scores.ending[row][kept],
    )


def blocks(lengths: NDArray[np.int64]) -> Iterator[slice]:
    """Yield slices of consecutive frames, each of about `BLOCK` tokens in total."""
    begin = total = 0
    for end, length in enumerate(lengths.tolist(), 1):
        total += length
        if total >= BLOCK or end == len(lengths):
            yield slice(begin, end)
            begin, total = end, 0


def batches(
    order: Sequence[int], frames: Sequence[Tokens], predictor: Predictor, reading: Reading
) -> Iterator[list[int]]:
    """Yield batches of frame indices, as large as memory and the predictor allow.

    `order` lists the indices by length, the longest first.
    """
    batch: list[int] = []
    for index in order:
        longest = min(len(frames[batch[0] if batch else index]), WINDOW)
        fitting = min(MAX_ROWS, LOGITS // (reading.vocab_size * longest))
        if batch and len(batch) >= min(max(fitting, 1), predictor.max_rows or MAX_ROWS):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def as_tensor(array: NDArray[np.int64], reading: Reading) -> Tensor:
    """Return the array as a tensor on the device of `reading`."""
    return torch.from_numpy(array).to(reading.device)


def to_numpy(values: Tensor) -> NDArray[np.float64]:
    """Return the values as a CPU array in double precision, for summing."""
    array: NDArray[np.float64] = values.detach().cpu().double().numpy()  # MPS has no float64
    return array
