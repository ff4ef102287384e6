"""Approximate filling of blanks: proposals from both sides, ranked by the whole text.

A forward model proposes tokens that follow the left context of a blank, and a backward model tokens
that precede its right context. Each proposal yields a whole text, and texts are ranked by their
probability. Blanks are filled from left to right. If there are several, new fillings are then
proposed for each blank, given the fillings of the others, until the result no longer changes or
`MAX_SWEEPS` is reached.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from charlm.decoding.batch import read_prompts
from charlm.decoding.beam import best_entries
from charlm.device import arithmetic
from charlm.errors import ConfigError
from charlm.model import State, StepModel, select_state

Ids = tuple[int, ...]
Propose = Callable[[int, Ids, Ids], list[Ids]]
"""Fillings of blank number 0, 1, ..., given the tokens on its left and on its right."""
Rank = Callable[[Sequence[Ids]], Sequence[float]]
"""Log P of each of some texts."""

MAX_SWEEPS = 4
DEFAULT_WIDTH = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class FillingConfig:
    """Settings for filling blanks."""

    max_blank_tokens: int = 1  # maximum length of a filling
    width: int | None = None  # proposals per length and side, and texts kept; None: 50
    num_fillings: int = 10  # number of fillings to return

    @property
    def num_proposals(self) -> int:
        """Number of proposals of each length from either side."""
        return DEFAULT_WIDTH if self.width is None else self.width

    @property
    def kept(self) -> int:
        """Number of texts kept between steps."""
        return max(self.num_proposals, self.num_fillings)

    def __post_init__(self) -> None:
        for name in ("max_blank_tokens", "width", "num_fillings"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}.")


@dataclass(frozen=True, slots=True)
class Filled:
    """Fillings of all blanks, with log P of the whole text in nats."""

    fillings: tuple[Ids, ...]
    log_prob: float


def fill_blanks(
    parts: Sequence[Ids], propose: Propose, rank: Rank, config: FillingConfig
) -> list[Filled]:
    """Return the `config.kept` best ways to fill all blanks, the most probable first.

    Args:
        parts: tokens around the blanks, one part more than there are blanks.
        propose: returns fillings of one blank.
        rank: returns log P of whole texts.
        config: numbers of proposals and texts.
    """
    pool: list[Filled] = [Filled((), 0.0)]
    for number in range(len(parts) - 1):
        known, right = parts[: number + 2], parts[number + 1]  # up to the next blank
        found = [
            (*filled.fillings, filling)
            for filled in pool
            for filling in propose(number, join(parts[: number + 1], filled.fillings), right)
        ]
        pool = keep_best(found, known, rank, config.kept)
    for _ in range(MAX_SWEEPS if len(parts) > 2 else 0):
        better = sweep(pool, parts, propose, rank, config)
        if better == pool:
            break
        pool = better
    return pool


def sweep(
    pool: list[Filled],
    parts: Sequence[Ids],
    propose: Propose,
    rank: Rank,
    config: FillingConfig,
) -> list[Filled]:
    """Propose new fillings for each blank in turn, with all other blanks filled."""
    for number in range(len(parts) - 1):
        found = {filled.fillings: None for filled in pool}
        for filled in pool[: config.num_fillings]:
            before, after = filled.fillings[:number], filled.fillings[number + 1 :]
            left = join(parts[: number + 1], before)
            right = join(parts[number + 1 :], after)
            found |= {(*before, filling, *after): None for filling in propose(number, left, right)}
        pool = keep_best(list(found), parts, rank, config.kept)
    return pool


def keep_best(
    found: Sequence[tuple[Ids, ...]], parts: Sequence[Ids], rank: Rank, width: int
) -> list[Filled]:
    """Return the `width` most probable of the given fillings, best first."""
    log_probs = rank([join(parts, fillings) for fillings in found])
    filled = [Filled(*pair) for pair in zip(found, map(float, log_probs), strict=True)]
    return sorted(filled, key=lambda each: (-each.log_prob, each.fillings))[:width]


def join(parts: Sequence[Ids], fillings: Sequence[Ids]) -> Ids:
    """Return the parts with the fillings between them, as one sequence of tokens."""
    joined: list[int] = []
    for number, part in enumerate(parts):
        joined += part
        if number < len(fillings):
            joined += fillings[number]
    return tuple(joined)


def propose_both_ways(
    models: tuple[StepModel, StepModel],
    prompts: tuple[Ids, Ids],
    barred: Sequence[int],
    config: FillingConfig,
    begins_not: Sequence[int] = (),
) -> list[Ids]:
    """Return proposals for a blank by a forward and a backward model.

    Args:
        models: the forward and the backward model.
        prompts: tokens that each model reads before the blank, in its own direction.
        barred: tokens that no filling may contain.
        config: number and maximum length of the proposals.
        begins_not: tokens that may not begin a filling.
    """
    with arithmetic():
        begun = [read_prompts(m, [p]) for m, p in zip(models, prompts, strict=True)]
        ahead, behind = (allowed(logits, barred) for logits, _ in begun)
        ahead = bar(ahead, begins_not)
        # Single tokens are also proposed by both models together, which may find others.
        together = best_entries(ahead + behind, config.num_proposals)
        forward = grow(models[0], begun[0][1], ahead, barred, config, ())
        backward = grow(models[1], begun[1][1], behind, barred, config, begins_not)
    proposals = [(token,) for _, token in together] + forward + [row[::-1] for row in backward]
    return list(dict.fromkeys(proposals))


def grow(
    model: StepModel,
    state: State,
    totals: Tensor,
    barred: Sequence[int],
    config: FillingConfig,
    ends_not: Sequence[int],
) -> list[Ids]:
    """Return the most probable continuations of each length by beam search.

    Args:
        model: the model that predicts the next token.
        state: state of the model after the prompt, for one row.
        totals: log P of the first token, (1, vocab_size).
        barred: tokens that no continuation may contain.
        config: number of continuations of each length, and the maximum length.
        ends_not: tokens that may not end a continuation, but may be inside a longer one.
    """
    found: list[Ids] = []
    rows: list[Ids] = [()]
    device = state[0][0].device
    for length in range(1, config.max_blank_tokens + 1):
        whole = best_entries(bar(totals, ends_not), config.num_proposals)
        found += [extend(rows, place, totals.shape[1]) for _, place in whole]
        if length == config.max_blank_tokens:
            break
        entries = best_entries(totals, config.num_proposals)
        before, tokens = torch.tensor([divmod(p, totals.shape[1]) for _, p in entries]).T
        rows = [extend(rows, place, totals.shape[1]) for _, place in entries]
        logits, state = model.step(tokens.to(device), select_state(state, before.to(device)))
        so_far = torch.tensor([total for total, _ in entries], dtype=torch.float64)
        totals = allowed(logits, barred) + so_far.unsqueeze(1)
    return found


def extend(rows: Sequence[Ids], place: int, vocab_size: int) -> Ids:
    """Return the row and token of a flattened index into (rows, vocab_size), as one sequence."""
    row, token = divmod(place, vocab_size)
    return (*rows[row], token)


def allowed(logits: Tensor, barred: Sequence[int]) -> Tensor:
    """Return log P of each token, with barred ones masked and no renormalization, in float64."""
    return bar(logits.cpu().double().log_softmax(-1), barred)


def bar(log_probs: Tensor, tokens: Sequence[int]) -> Tensor:
    """Return a copy of log-probabilities, (rows, vocab_size), with some tokens masked."""
    barred = log_probs.clone()
    barred[:, list(tokens)] = -torch.inf
    return barred
