"""Beam search."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from charlm.decoding.config import DecodingConfig
from charlm.decoding.filters import bar_tokens
from charlm.decoding.sampling import read_prompt
from charlm.model import StepModel, select_state


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A continuation of the prompt, without `<stop>`."""

    tokens: tuple[int, ...]
    log_prob: float  # natural logarithm, of <stop> too if it was reached
    score: float  # log_prob / length ** length_penalty, the length counting <stop>
    finished: bool  # ended by <stop>, not by max_new_tokens


def beam_search(
    model: StepModel,
    prompt: Sequence[int],
    config: DecodingConfig,
    *,
    barred: Sequence[int],
    stop_id: int,
) -> list[Hypothesis]:
    """The best continuations found, best first, at most `config.beam` of them.

    As Hugging Face's: at each step the `beam` most probable growing hypotheses are kept; one that
    chooses `<stop>` while among the best `beam` candidates joins the finished ones, of which the
    `beam` best scores are kept. The search ends when no growing hypothesis scores above the worst
    of a full set of finished ones (at once with `early_stopping`), or at `max_new_tokens`, where
    the growing ones count as they are. Barred tokens cost their probability; the rest keep theirs.
    """
    assert config.beam is not None
    beam, penalty = config.beam, config.length_penalty
    logits, state = read_prompt(model, prompt)
    growing: list[tuple[int, ...]] = [()]
    log_probs = torch.zeros(1, dtype=torch.float64)
    finished: list[Hypothesis] = []

    for length in range(1, config.max_new_tokens + 1):
        totals = log_probs[:, None] + bar_tokens(logits.cpu().double().log_softmax(-1), barred)
        candidates = best_candidates(totals, 2 * beam)
        for log_prob, row, token in candidates[:beam]:
            if token == stop_id:
                score = log_prob / length**penalty
                finished.append(Hypothesis(growing[row], log_prob, score, True))
        finished = sorted(finished, key=lambda h: h.score, reverse=True)[:beam]
        kept = [c for c in candidates if c[2] != stop_id][:beam]
        if not kept:
            growing = []
            break
        growing = [(*growing[row], token) for _, row, token in kept]
        best_growing = kept[0][0] / length**penalty
        if len(finished) == beam and (config.early_stopping or best_growing <= finished[-1].score):
            growing = []
            break
        log_probs = log_probs.new_tensor([log_prob for log_prob, _, _ in kept])
        if length < config.max_new_tokens:
            rows = torch.tensor([row for _, row, _ in kept], device=logits.device)
            tokens = torch.tensor([token for _, _, token in kept], device=logits.device)
            with torch.inference_mode():
                logits, state = model.step(tokens, select_state(state, rows))

    cut_off = [
        Hypothesis(tokens, log_prob, log_prob / len(tokens) ** penalty, False)
        for tokens, log_prob in zip(growing, log_probs.tolist(), strict=False)
    ]
    return sorted(finished + cut_off, key=lambda h: h.score, reverse=True)[:beam]


def best_candidates(totals: Tensor, count: int) -> list[tuple[float, int, int]]:
    """The `count` largest of totals (rows, vocab_size) that are possible at all.

    As (total, row, token), best first.
    """
    flat, vocab_size = totals.flatten(), totals.shape[1]
    least = flat.topk(min(count, len(flat))).values[-1]
    indices = ((flat >= least) & (flat > float("-inf"))).nonzero().squeeze(1)
    # Of equals the first wins, as in argmax; topk itself promises no order.
    order = flat[indices].sort(descending=True, stable=True).indices
    best = indices[order][:count].tolist()
    return [(float(flat[i]), i // vocab_size, i % vocab_size) for i in best]
