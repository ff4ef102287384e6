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
from charlm.errors import CheckpointError
from charlm.model import ChunkModel, StepModel

DRAWN = 256  # uniform numbers drawn at a time
LARGEST_CHUNK = 32  # tokens of a row that a model draws in one call
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
    batch = Batch(model, prompts, config, rules)
    uniforms = None if config.mode == "greedy" else Uniforms(generators)
    kind = Chunks if may_write_chunks(batch, config) else SingleSteps
    source = kind(batch, config, uniforms)
    rows = list(range(len(prompts)))
    left = config.max_new_tokens
    while left > 0:
        alive = list(range(len(rows)))  # of the rows, those that have not ended in this chunk
        for chosen in source.next(left):
            left -= 1
            tokens = chosen if len(alive) == len(rows) else [chosen[i] for i in alive]
            step = Step([rows[i] for i in alive], tokens)
            alive = [
                i
                for i, row, token in zip(alive, step.rows, tokens, strict=True)
                if token != rules.stop_id and not (watches and watches[row].push(token))
            ]
            yield step
            if not alive:
                return
        if len(alive) < len(rows):
            rows = [rows[i] for i in alive]
            source.keep(alive)


class SingleSteps:
    """Tokens one step at a time, by any distribution and any constraint."""

    def __init__(self, batch: Batch, config: DecodingConfig, uniforms: "Uniforms | None") -> None:
        self._batch, self._config, self._uniforms = batch, config, uniforms
        self._tokens: Tensor | None = None

    def next(self, most: int) -> list[list[int]]:
        """The next token of each row."""
        with arithmetic():
            if self._tokens is not None:
                self._batch.advance(self._tokens)
            allowed = self._batch.allowed_logits()
            if self._uniforms is None:
                self._tokens = allowed.argmax(-1)
            else:
                shaped = shape_distribution(allowed, self._config)
                self._tokens = draw(shaped, self._uniforms.next(1)[0].unsqueeze(1))
            return [self._tokens.tolist()]

    def keep(self, rows: list[int]) -> None:
        """Go on with these rows."""
        assert self._tokens is not None
        self._tokens = self._tokens[rows]
        self._batch.keep(rows)
        if self._uniforms is not None:
            self._uniforms.select(rows)


class Chunks:
    """Tokens many steps at a time, where the model draws them itself.

    The first chunks are short, so that the first words come at once. What a row has got beyond its
    end is thrown away.
    """

    def __init__(self, batch: Batch, config: DecodingConfig, uniforms: "Uniforms | None") -> None:
        self._batch, self._uniforms = batch, uniforms
        self._temperature = config.temperature if uniforms is not None else 1.0
        self._size = 1

    def next(self, most: int) -> list[list[int]]:
        """The next tokens of each row, at most so many."""
        with arithmetic():
            count = min(self._size, most)
            numbers = None if self._uniforms is None else self._uniforms.next(count)
            self._size = min(2 * self._size, LARGEST_CHUNK)
            tokens: list[list[int]] = self._batch.write(count, self._temperature, numbers).tolist()
        return tokens

    def keep(self, rows: list[int]) -> None:
        """Go on with these rows."""
        self._batch.keep(rows)
        if self._uniforms is not None:
            self._uniforms.select(rows)


def may_write_chunks(batch: Batch, config: DecodingConfig) -> bool:
    """Whether nothing but the model, its temperature and what is always barred decides."""
    constraints = batch.constraints
    return (
        isinstance(batch.model, ChunkModel)
        and constraints.only_bar
        and not constraints.may_bar_all
        and config.top_k is None
        and (config.top_p, config.min_p, config.typical_p) == (1, 0, 1)
    )


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

    Raises:
        CheckpointError: the logits are no numbers, as weights of an absurd size make them.
    """
    cumulative = logits.softmax(-1).cumsum(-1)
    tokens = torch.searchsorted(cumulative, uniforms, right=True).squeeze(1)
    if int(tokens.max()) >= logits.shape[-1]:  # nothing compares with NaN
        raise CheckpointError(
            "the model gives no probabilities (NaN): its weights are too large to compute with; "
            "use another checkpoint."
        )
    return tokens


class Uniforms:
    """Numbers in [0, 1) for each row, from its own generator, some at a time.

    Row by row, the numbers are the same whatever others there are and however many are taken.
    """

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self._generators = list(generators)
        self._numbers = torch.empty(0, len(self._generators))  # (left, rows)

    def next(self, count: int) -> Tensor:
        """The next numbers, (count, rows) in float64; count is at most DRAWN."""
        if len(self._numbers) < count:
            drawn = [torch.rand(DRAWN, generator=g, dtype=torch.float64) for g in self._generators]
            self._numbers = torch.cat([self._numbers, torch.stack(drawn, dim=1) * BELOW_ONE])
        numbers, self._numbers = self._numbers[:count], self._numbers[count:]
        return numbers

    def select(self, rows: list[int]) -> None:
        """Go on with these rows."""
        self._generators = [self._generators[row] for row in rows]
        self._numbers = self._numbers[:, rows]
