"""Sampling without replacement: stochastic beam search."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from charlm.decoding.batch import Batch
from charlm.decoding.beam import best_places
from charlm.decoding.config import DecodingConfig
from charlm.decoding.hypothesis import Hypothesis, Node
from charlm.decoding.rules import Rules
from charlm.decoding.sampling import shape_distribution
from charlm.device import arithmetic
from charlm.model import StepModel


def sample_without_replacement(
    model: StepModel, prompt: Sequence[int], config: DecodingConfig, rules: Rules, *, seed: int
) -> list[Hypothesis]:
    """Draw `config.num_return_sequences` distinct texts, in the order in which they are drawn.

    Stochastic beam search (Kool et al. 2019, arXiv:1903.06059) is equivalent to sampling texts one
    by one without replacement: Gumbel noise is added to the log-probability of every text, and the
    largest sums win. Beam search finds them because the noise can be drawn from the top down. The
    largest sum over all texts with a given prefix is known with the prefix, and the sums of its
    continuations are drawn given that maximum.

    The noise of a continuation depends only on the seed and its tokens, so asking for more texts
    does not change the first ones. `log_prob` of a hypothesis is taken under the distribution
    sampled from, after temperature and filters, and `score` is the sum. Fewer texts are returned if
    the model has no more.

    Args:
        model: the model that predicts the next token.
        prompt: token ids, starting with `<start>`.
        config: filters of the distribution, and the number of texts.
        rules: special tokens, biases, bans and stop strings.
        seed: the same seed gives the same texts.

    Returns:
        The texts, by falling score.

    Raises:
        ConfigError: all tokens of a text are masked.
    """
    count = config.num_return_sequences
    growing, seeds = [Node.root(rules)], [seed]
    finished: list[Node] = []
    batch = Batch(model, [prompt], config, rules)
    for length in range(1, config.max_new_tokens + 1):
        with arithmetic():
            allowed = shape_distribution(batch.allowed_logits(), config)
            column = allowed.new_tensor([[node.log_prob] for node in growing])
            totals = column + allowed.log_softmax(-1)
            noise, next_seeds = zip(
                *(draw_gumbels(s, rules.vocab_size) for s in seeds), strict=True
            )
            limits = allowed.new_tensor([[node.score] for node in growing])
            scores = condition_maximum(totals + torch.stack(noise), limits if length > 1 else None)
            places = best_places(scores, count)
            found = zip(places, totals.flatten()[places], scores.flatten()[places], strict=True)
        # Finished hypotheses keep their scores and compete with the growing ones.
        candidates = [(node, -1, 0) for node in finished]
        for place, total, score in found:
            row, token = divmod(place, rules.vocab_size)
            node = growing[row].follow(token, float(total), float(score), rules)
            candidates.append((node, row, int(next_seeds[row][token])))
        candidates.sort(key=lambda candidate: candidate[0].score, reverse=True)
        best = candidates[:count]
        finished = [node for node, _, _ in best if node.stopped]
        going = [candidate for candidate in best if not candidate[0].stopped]
        growing = [node for node, _, _ in going]
        if not going or length == config.max_new_tokens:
            break
        seeds = [child_seed for _, _, child_seed in going]
        with arithmetic():
            batch.advance(torch.tensor([n.token for n in growing]), [row for _, row, _ in going])

    best_first = sorted(finished + growing, key=lambda node: node.score, reverse=True)
    return [node.hypothesis(rules) for node in best_first]


def draw_gumbels(seed: int, vocab_size: int) -> tuple[Tensor, Tensor]:
    """Return standard Gumbel noise and a seed for each continuation by one token.

    Both are (vocab_size,): the noise float64, the seeds int64.
    """
    generator = torch.Generator().manual_seed(seed)
    uniforms = torch.rand(vocab_size, generator=generator, dtype=torch.float64)
    seeds = torch.randint(2**63 - 1, (vocab_size,), generator=generator)
    return -(-uniforms.clamp_min(math.ulp(0.0)).log()).log(), seeds


def condition_maximum(values: Tensor, limits: Tensor | None) -> Tensor:
    """Condition Gumbel variables on the maximum of each row (Kool et al. 2019, appendix B.3).

    Args:
        values: unconditioned variables, (rows, vocab_size); minus infinity is kept.
        limits: maximum T of each row, (rows, 1); None leaves the values unconditioned.

    Returns:
        T - max(0, v) - log(1 + exp(-|v|)) with v = T - x + log(1 - exp(x - max x)).
    """
    if limits is None:
        return values
    below = values - values.amax(-1, keepdim=True)
    v = limits - values + (-below.exp()).log1p()
    return limits - v.clamp_min(0) - (-v.abs()).exp().log1p()
