"""One token after the other for many texts at once: greedy, or drawn from the distribution."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from charlm.decoding.batch import Batch
from charlm.decoding.config import DecodingConfig
from charlm.decoding.filters import (
    keep_min_p,
    keep_top_k,
    keep_top_p,
    keep_typical,
    scale_temperature,
)
from charlm.decoding.rules import Rules, TextWatch
from charlm.device import arithmetic
from charlm.model import StepModel

CHUNK = 256  # uniform numbers drawn at a time
# The probabilities of a vocabulary may add up to a little less than 1 by rounding.
BELOW_ONE = 1 - 2**-36


@dataclass(frozen=True, slots=True)
class Step:
    """The next token of every text that goes on."""

    rows: list[int]  # which texts
    tokens: list[int]  # the token of each, `<stop>` included


def generate_tokens(
    model: StepModel,
    prompts: Sequence[Sequence[int]],
    config: DecodingConfig,
    rules: Rules,
    *,
    generators: Sequence[torch.Generator],
    watches: Sequence[TextWatch] | None = None,
) -> Iterator[Step]:
    """Yield the tokens that follow each prompt, a step of all texts at a time.

    A text ends with `<stop>`, which is yielded, where its watch says so, or after
    `max_new_tokens`; the others go on without it.

    Args:
        model: gives the probabilities.
        prompts: token ids, `<start>` first; at least one each.
        config: greedy, or how to sample.
        rules: what tokens mean.
        generators: the randomness of each text, on the CPU; not used in greedy decoding.
        watches: what follows each text, if anything does.

    Raises:
        ConfigError: no token is left to choose from.
    """
    uniforms = None if config.mode == "greedy" else Uniforms(generators)
    rows = list(range(len(prompts)))
    batch = Batch(model, prompts, config, rules)
    tokens: Tensor | None = None
    kept: list[int] | None = None  # rows that go on, where not all do
    for _ in range(config.max_new_tokens):
        with arithmetic():
            if tokens is not None:
                batch.advance(tokens, kept)
            allowed = batch.allowed_logits()
            if uniforms is None:
                tokens = allowed.argmax(-1)
            else:
                tokens = draw(shape_distribution(allowed, config), uniforms.next())
        chosen = tokens.tolist()
        going = [
            i
            for i, (row, token) in enumerate(zip(rows, chosen, strict=True))
            if token != rules.stop_id and not (watches and watches[row].push(token))
        ]
        yield Step(rows, chosen)
        if not going:
            return
        kept = None
        if len(going) < len(rows):
            kept, tokens, rows = going, tokens[going], [rows[i] for i in going]
            if uniforms is not None:
                uniforms.select(going)


def shape_distribution(logits: Tensor, config: DecodingConfig) -> Tensor:
    """Temperature, then what is kept of the distribution; logits (..., vocab_size)."""
    if config.temperature != 1:
        logits = scale_temperature(logits, config.temperature)
    if config.top_k is not None:
        logits = keep_top_k(logits, config.top_k)
    if config.top_p < 1:
        logits = keep_top_p(logits, config.top_p)
    if config.min_p > 0:
        logits = keep_min_p(logits, config.min_p)
    if config.typical_p < 1:
        logits = keep_typical(logits, config.typical_p)
    return logits


def draw(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Draw a token from softmax(logits) of each row, by inverting the distribution function.

    Args:
        logits: (rows, vocab_size), in float64.
        uniforms: (rows, 1) in [0, BELOW_ONE), float64: one number a token, so that a text's
            randomness does not depend on what is drawn beside it.

    Returns:
        (rows,).
    """
    cumulative = logits.softmax(-1).cumsum(-1)
    return torch.searchsorted(cumulative, uniforms, right=True).squeeze(1)


class Uniforms:
    """Numbers in [0, 1) for each row, from its own generator, some at a time."""

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self._generators = list(generators)
        self._left: list[Tensor] = []  # (rows, 1) each, the next one last

    def next(self) -> Tensor:
        """One number a row, (rows, 1) in float64."""
        if not self._left:
            drawn = [torch.rand(CHUNK, generator=g, dtype=torch.float64) for g in self._generators]
            numbers = torch.stack(drawn, dim=1).unsqueeze(2) * BELOW_ONE  # (CHUNK, rows, 1)
            self._left = list(numbers.flip(0).unbind())
        return self._left.pop()

    def select(self, rows: list[int]) -> None:
        """Go on with these rows."""
        self._generators = [self._generators[row] for row in rows]
        if self._left:
            self._left = list(torch.stack(self._left)[:, rows].unbind())
