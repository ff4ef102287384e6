"""Beam search, and groups of beams that differ."""

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
    """What one step of one group came to. Each list is best first."""

    length: int  # tokens of the candidates
    group: int
    candidates: list[Node]  # the most probable continuations, twice as many as beams
    growing: list[Node]  # candidates that go on
    finished: list[Node]  # of all lengths, the best
    done: bool  # the group's search is over


@dataclass(slots=True)
class Group:
    """One beam: what grows and what is finished."""

    growing: list[Node]
    finished: list[Node] = field(default_factory=list)
    done: bool = False


def beam_search(
    model: StepModel, prompt: Sequence[int], config: DecodingConfig, rules: Rules
) -> list[Hypothesis]:
    """The best continuations found, best first, at most `config.beam` of them.

    See `beam_steps`.

    Raises:
        ConfigError: every text runs into barred tokens alone.
    """
    finished: list[Node] = []
    for step in beam_steps(model, prompt, config, rules):
        if step.done:
            finished += step.finished
    return [node.hypothesis(rules) for node in found_texts(finished)]


def found_texts(finished: list[Node]) -> list[Node]:
    """What a search has come to, best first.

    Raises:
        ConfigError: every text ran into barred tokens alone.
    """
    if not finished:
        raise ConfigError("no text is left; loosen --ban or --no-repeat-ngram-size.")
    return sorted(finished, key=lambda node: node.score, reverse=True)


def beam_steps(
    model: StepModel, prompt: Sequence[int], config: DecodingConfig, rules: Rules
) -> Iterator[BeamStep]:
    """Search, and yield each step of each group; what is finished when it is done is the result.

    As Hugging Face's: at each step the `beam` most probable growing hypotheses are kept; one that
    stops while among the best `beam` candidates joins the finished ones, of which the `beam` best
    scores are kept. The search ends when no growing hypothesis scores above the worst of a full
    set of finished ones (at once with `early_stopping`), or at `max_new_tokens`, where the growing
    ones count as they are. Barred tokens cost their probability; the rest keep theirs.

    Groups (Vijayakumar et al. 2016, arXiv:1610.02424) share the beams among them and choose one
    after the other: a candidate ranks lower by `diversity_penalty` for each time an earlier group
    goes on with its token at this step. Only the choice is penalized; scores are log-probabilities.
    """
    assert config.beam is not None
    width = config.beam // config.num_beam_groups
    groups = [Group([Node.root(rules)]) for _ in range(config.num_beam_groups)]
    rows: list[int] = []  # of the batch, which each growing hypothesis follows
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
    """Take a group one token on.

    Args:
        group: changed in place.
        log_probs: (growing, vocab_size), of the next token.
        penalty: (vocab_size,), what a token's choice costs.
        width: beams of the group.
        config: the search's settings.
        rules: what tokens mean.

    Returns:
        The candidates, best first; and for each node that goes on, which one it follows.
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
    """Whether no hypothesis that grows is to be waited for."""
    if len(group.finished) < width:
        return False
    best = max(node.score for node in group.growing)
    return config.early_stopping or best <= group.finished[-1].score


def best_places(totals: Tensor, count: int) -> list[int]:
    """Where, in the flattened totals, the `count` largest are; see `best_entries`."""
    return [place for _, place in best_entries(totals, count)]


def best_entries(totals: Tensor, count: int) -> list[tuple[float, int]]:
    """The `count` largest totals that are possible at all, and where they are when flattened.

    Best first; of equals the first, as argmax has it, which topk by itself does not promise.
    """
    flat = totals.flatten()
    size = flat.numel()
    count = min(count, size)
    largest, places = flat.topk(min(count + 1, size))
    # With the signs changed, pairs sort by themselves: best first, of equals the first.
    entries = sorted(zip(largest.neg_().tolist(), places.tolist(), strict=True))
    if len(entries) > count and entries[count - 1][0] == entries[count][0]:
        ties = (flat >= -entries[count][0]).nonzero().squeeze(1)
        entries = sorted(zip((-flat[ties]).tolist(), ties.tolist(), strict=True))
    return [(-value, place) for value, place in entries[:count] if value < IMPOSSIBLE]
