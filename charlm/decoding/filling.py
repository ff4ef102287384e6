"""Blanks in a text: fillings proposed from the left and from the right, ranked by the whole.

A model that reads forwards proposes what may follow the tokens before a blank, one that reads
backwards what may precede the tokens after it. Each proposal makes a whole text of it, and texts
rank by their probability. Blanks are filled one after the other; where there are several, each is
then proposed for once more between the fillings of the others, until that finds nothing better.
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
    """How blanks are filled."""

    max_blank_tokens: int = 1  # of each blank, at most
    width: int | None = None  # proposals of each length from either side, and texts that are kept
    num_fillings: int = 10  # that are wanted

    @property
    def num_proposals(self) -> int:
        """Proposals of each length from either side."""
        return DEFAULT_WIDTH if self.width is None else self.width

    @property
    def kept(self) -> int:
        """Texts that are kept on the way."""
        return max(self.num_proposals, self.num_fillings)

    def __post_init__(self) -> None:
        for name in ("max_blank_tokens", "width", "num_fillings"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}.")


@dataclass(frozen=True, slots=True)
class Filled:
    """A filling of each blank, and log P of the whole text, in nats."""

    fillings: tuple[Ids, ...]
    log_prob: float


def fill_blanks(
    parts: Sequence[Ids], propose: Propose, rank: Rank, config: FillingConfig
) -> list[Filled]:
    """Texts without blanks, the most probable first: all that were kept.

    Args:
        parts: what stands around the blanks, one more than there are.
        propose: for one blank.
        rank: whole texts.
        config: how many are kept.
    """
    pool: list[Filled] = [Filled((), 0.0)]
    for number in range(len(parts) - 1):
        known, right = parts[: number + 2], parts[number + 1]  # as far as the next blank
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
    """Propose for each blank once more, all others being filled."""
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
    """The most probable of some ways to fill, best first."""
    log_probs = rank([join(parts, fillings) for fillings in found])
    filled = [Filled(*pair) for pair in zip(found, map(float, log_probs), strict=True)]
    return sorted(filled, key=lambda each: (-each.log_prob, each.fillings))[:width]


def join(parts: Sequence[Ids], fillings: Sequence[Ids]) -> Ids:
    """Parts with fillings between them; the last part may still lack its blank's filling."""
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
    """What models propose for a blank that they come upon from both sides.

    Args:
        models: one that reads forwards, one that reads backwards.
        prompts: what each has read when it comes to the blank.
        barred: tokens that fill no blank.
        config: how many and how long.
        begins_not: tokens with which no filling begins.
    """
    with arithmetic():
        begun = [read_prompts(m, [p]) for m, p in zip(models, prompts, strict=True)]
        ahead, behind = (allowed(logits, barred) for logits, _ in begun)
        ahead = bar(ahead, begins_not)
        # A single token is proposed by both together, too: neither may think of it by itself.
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
    """The most probable rows of tokens of each length, from a state.

    Args:
        model: goes on.
        state: it goes on from, of one row.
        totals: log P of the first token, (1, vocab_size).
        barred: tokens that are in no row.
        config: how many of each length, and how long.
        ends_not: tokens that end no row, though longer ones may go on from them.
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
    """A row and the token that a place among (rows, vocab_size) stands for."""
    row, token = divmod(place, vocab_size)
    return (*rows[row], token)


def allowed(logits: Tensor, barred: Sequence[int]) -> Tensor:
    """Log P of each token that may be written; barred ones keep their share, unused."""
    return bar(logits.cpu().double().log_softmax(-1), barred)


def bar(log_probs: Tensor, tokens: Sequence[int]) -> Tensor:
    """The same with tokens that never come."""
    barred = log_probs.clone()
    barred[:, list(tokens)] = -torch.inf
    return barred
