"""Beam search and diverse (group) beam search."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from charlm.decoding.batch import Batch
from charlm.decoding.config import DecodingConfig
from charlm.decoding.hypothesis import Hypothesis, Node
from charlm.decoding.rules import Rules
from charlm.device import arithmetic
from charlm.errors import ConfigError
from charlm.model import StepModel

IMPOSSIBLE = float("inf")  # nats


@dataclass(frozen=True, slots=True)
class BeamStep:
    """Result of one step of one group. Each list is sorted, best first."""

    length: int  # number of tokens of each candidate
    group: int
    candidates: list[Node]  # most probable continuations, up to twice the beam width
    growing: list[Node]  # candidates that continue
    finished: list[Node]  # best finished hypotheses of all lengths
    done: bool  # the search of the group has ended


@dataclass(slots=True)
class Group:
    """One group of beams: its growing and its finished hypotheses."""

    growing: list[Node]
    finished: list[Node] = field(default_factory=list)
    done: bool = False


def beam_search(
    model: StepModel, prompt: Sequence[int], config: DecodingConfig, rules: Rules
) -> list[Hypothesis]:
    """Return the best continuations, best first, at most `config.beam`; see `beam_steps`.

    Raises:
        ConfigError: every hypothesis reached a point where all tokens are masked.
    """
    finished: list[Node] = []
    for step in beam_steps(model, prompt, config, rules):
        if step.done:
            finished += step.finished
    return [node.hypothesis(rules) for node in found_texts(finished)]


def found_texts(finished: list[Node]) -> list[Node]:
    """Return the finished hypotheses of a search sorted by score, best first.

    Raises:
        ConfigError: `finished` is empty, because all tokens were masked.
    """
    if not finished:
        raise ConfigError("no text is left; loosen --ban or --no-repeat-ngram-size.")
    return sorted(finished, key=lambda node: node.score, reverse=True)


def beam_steps(
    model: StepModel, prompt: Sequence[int], config: DecodingConfig, rules: Rules
) -> Iterator[BeamStep]:
    """Yield each step of each group; the `finished` lists of `done` steps are the result.

    The search follows Hugging Face's. At each step the `beam` most probable growing hypotheses are
    kept. A hypothesis that stops while among the best `beam` candidates is finished; of the
    finished ones, the `beam` best scores are kept. The search ends when `beam` hypotheses are
    finished and no growing one scores above the worst of them (with `early_stopping` as soon as
    `beam` are finished), or at `max_new_tokens`, where growing hypotheses count as finished. The
    probability of masked tokens is lost; other tokens keep their probabilities.

    Groups (Vijayakumar et al. 2016, arXiv:1610.02424) divide the beams equally and choose in turn.
    A candidate ranks lower by `diversity_penalty` for each hypothesis of an earlier group that
    chose its token at this step. Only the choice is penalized, not the score.
    """
    assert config.beam is not None
    width = config.beam // config.num_beam_groups
    groups = [Group([Node.root(rules)]) for _ in range(config.num_beam_groups)]
    rows: list[int] = []  # batch row that each growing hypothesis continues
    batch = Batch(model, [prompt] * len(groups), config, rules)
    for length in range(1, config.max_new_tokens + 1):
        with arithmetic():
            if length > 1:
                going = [node.token for group in groups if not group.done for node in group.growing]
                batch.advance(torch.tensor(going), rows)
            log_probs = batch.allowed_log_probs(as_greedy=config.beam == 1)
        penalty: Tensor | None = None
        rows, first_row = [], 0
        for index, group in enumerate(groups):
            if group.done:
                continue
            last_row = first_row + len(group.growing)
            with arithmetic():
                candidates, parents = advance(
                    group, log_probs[first_row:last_row], penalty, width, config, rules
                )
            if config.diversity_penalty:
                penalty = log_probs.new_zeros(rules.vocab_size) if penalty is None else penalty
                for node in group.growing:
                    penalty[node.token] += config.diversity_penalty
            if not group.done:
                rows += [first_row + parent for parent in parents]
            first_row = last_row
            finished = list(group.finished)
            yield BeamStep(length, index, candidates, group.growing, finished, group.done)
        if not rows:
            return


def advance(
    group: Group,
    log_probs: Tensor,
    penalty: Tensor | None,
    width: int,
    config: DecodingConfig,
    rules: Rules,
) -> tuple[list[Node], list[int]]:
    """Advance a group by one token.

    Args:
        group: changed in place.
        log_probs: (growing, vocab_size), of the next token.
        penalty: (vocab_size,), cost of choosing each token in nats; None: no cost.
        width: number of beams of the group.
        config: settings of the search.
        rules: special tokens and stop strings.

    Returns:
        The candidates, best first; and for each node that continues, the index of its parent.
    """
    length = group.growing[0].length + 1
    at_end = length == config.max_new_tokens
    so_far = torch.tensor([node.log_prob for node in group.growing], dtype=torch.float64)
    totals = log_probs + so_far.unsqueeze(1)
    if penalty is None:
        best = best_entries(totals, 2 * width)
    else:
        places = best_places(totals - penalty, 2 * width)
        best = list(zip(totals.flatten()[places].tolist(), places, strict=True))
    candidates = []
    divisor, before = length**config.length_penalty, group.growing
    for total, place in best:
        row, token = divmod(place, rules.vocab_size)
        candidates.append((row, before[row].follow(token, total, total / divisor, rules)))
    group.finished += [node for _, node in candidates[:width] if node.stopped]
    growing = [(row, node) for row, node in candidates if not node.stopped][:width]
    group.growing = [node for _, node in growing]
    if at_end:
        group.finished += group.growing
    group.finished.sort(key=lambda node: node.score, reverse=True)
    del group.finished[width:]
    group.done = at_end or not growing or is_settled(group, width, config)
    return [node for _, node in candidates], [row for row, _ in growing]


def is_settled(group: Group, width: int, config: DecodingConfig) -> bool:
    """Return True if no growing hypothesis can change the result of a group."""
    if len(group.finished) < width:
        return False
    best = max(node.score for node in group.growing)
    return config.early_stopping or best <= group.finished[-1].score


def best_places(totals: Tensor, count: int) -> list[int]:
    """Return the flattened indices of the `count` largest totals; see `best_entries`."""
    return [place for _, place in best_entries(totals, count)]


def best_entries(totals: Tensor, count: int) -> list[tuple[float, int]]:
    """Return the `count` largest totals above minus infinity, with their flattened indices.

    They are sorted, best first. Ties go to the smaller index, as in argmax; topk alone does not
    guarantee that.
    """
    flat = totals.flatten()
    size = flat.numel()
    count = min(count, size)
    largest, places = flat.topk(min(count + 1, size))
    # With negated values, ascending order is best first with ties by index.
    entries = sorted(zip(largest.neg_().tolist(), places.tolist(), strict=True))
    if len(entries) > count and entries[count - 1][0] == entries[count][0]:
        ties = (flat >= -entries[count][0]).nonzero().squeeze(1)
        entries = sorted(zip((-flat[ties]).tolist(), ties.tolist(), strict=True))
    return [(-value, place) for value, place in entries[:count] if value < IMPOSSIBLE]
