"""Greedy decoding and sampling, for a batch of texts."""

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

DRAWN = 256  # uniform numbers drawn per row at a time
LARGEST_CHUNK = 32  # maximum number of tokens per row that a model draws in one call
# Upper bound of uniform numbers: the sum of all probabilities may round to just below 1.
BELOW_ONE = 1 - 2**-36


@dataclass(frozen=True, slots=True)
class Step:
    """Next token of every text that has not ended."""

    rows: list[int]  # indices of the texts
    tokens: list[int]  # token of each text, including `<stop>`


def generate_tokens(
    model: StepModel,
    prompts: Sequence[Sequence[int]],
    config: DecodingConfig,
    rules: Rules,
    *,
    generators: Sequence[torch.Generator],
    watches: Sequence[TextWatch] | None = None,
) -> Iterator[Step]:
    """Yield the tokens that follow each prompt, one step of all texts at a time.

    A text ends with `<stop>`, which is yielded, when its watch reports a stop string, or after
    `max_new_tokens`. The other texts continue without it.

    Args:
        model: the model that predicts the next token.
        prompts: token ids, starting with `<start>`; at least one token each.
        config: greedy decoding, or how to sample.
        rules: special tokens, biases and bans.
        generators: random generator of each text, on the CPU; not used in greedy decoding.
        watches: detects stop strings in each text; None: there are none.

    Raises:
        CheckpointError: the model's logits are NaN (when sampling).
        ConfigError: all tokens of a text are masked.
    """
    batch = Batch(model, prompts, config, rules)
    uniforms = None if config.mode == "greedy" else Uniforms(generators)
    kind = Chunks if may_write_chunks(batch, config) else SingleSteps
    source = kind(batch, config, uniforms)
    rows = list(range(len(prompts)))
    left = config.max_new_tokens
    while left > 0:
        alive = list(range(len(rows)))  # indices into rows, of unfinished texts
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
    """Token source that takes single steps; it supports all filters and constraints."""

    def __init__(self, batch: Batch, config: DecodingConfig, uniforms: "Uniforms | None") -> None:
        self._batch, self._config, self._uniforms = batch, config, uniforms
        self._tokens: Tensor | None = None

    def next(self, most: int) -> list[list[int]]:
        """Return the next token of each row, as a list of one step; `most` is ignored.

        Raises:
            CheckpointError: the model's logits are NaN (when sampling).
            ConfigError: all tokens of a row are masked.
        """
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
        """Keep these rows, in this order."""
        assert self._tokens is not None
        self._tokens = self._tokens[rows]
        self._batch.keep(rows)
        if self._uniforms is not None:
            self._uniforms.select(rows)


class Chunks:
    """Token source that takes many steps at a time; the model itself draws the tokens.

    Chunk sizes start at 1 and double, so that the first words appear at once. Tokens after the end
    of a text are discarded by the caller.
    """

    def __init__(self, batch: Batch, config: DecodingConfig, uniforms: "Uniforms | None") -> None:
        self._batch, self._uniforms = batch, uniforms
        self._temperature = config.temperature if uniforms is not None else 1.0
        self._size = 1

    def next(self, most: int) -> list[list[int]]:
        """Return the tokens of the next steps, at most `most`: one list of rows per step."""
        with arithmetic():
            count = min(self._size, most)
            numbers = None if self._uniforms is None else self._uniforms.next(count)
            self._size = min(2 * self._size, LARGEST_CHUNK)
            tokens: list[list[int]] = self._batch.write(count, self._temperature, numbers).tolist()
        return tokens

    def keep(self, rows: list[int]) -> None:
        """Keep these rows, in this order."""
        self._batch.keep(rows)
        if self._uniforms is not None:
            self._uniforms.select(rows)


def may_write_chunks(batch: Batch, config: DecodingConfig) -> bool:
    """Return True if the tokens depend only on the model, the temperature and constant masks."""
    constraints = batch.constraints
    return (
        isinstance(batch.model, ChunkModel)
        and constraints.only_bar
        and not constraints.may_bar_all
        and config.top_k is None
        and (config.top_p, config.min_p, config.typical_p) == (1, 0, 1)
    )


def shape_distribution(logits: Tensor, config: DecodingConfig) -> Tensor:
    """Apply temperature, then top-k, top-p, min-p and typical filters to (..., vocab_size)."""
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
    """Draw one token per row from softmax(logits), by inverse transform sampling.

    Args:
        logits: (rows, vocab_size), in float64.
        uniforms: (rows, 1) in [0, BELOW_ONE), float64. One number per token, so that a text does
            not depend on the other texts in the batch.

    Returns:
        Token ids, (rows,), int64.

    Raises:
        CheckpointError: logits are NaN, which extremely large weights can cause.
    """
    cumulative = logits.softmax(-1).cumsum(-1)
    tokens = torch.searchsorted(cumulative, uniforms, right=True).squeeze(1)
    if int(tokens.max()) >= logits.shape[-1]:  # NaN compares as False, so no token is found
        raise CheckpointError(
            "the model gives no probabilities (NaN): its weights are too large to compute with; "
            "use another checkpoint."
        )
    return tokens


class Uniforms:
    """Uniform numbers in [0, BELOW_ONE) for each row, from the row's own generator.

    The numbers of a row depend neither on the other rows nor on how many are taken at a time.
    """

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        self._generators = list(generators)
        self._numbers = torch.empty(0, len(self._generators))  # (numbers left, rows)

    def next(self, count: int) -> Tensor:
        """Return the next numbers, (count, rows), float64; count is at most DRAWN."""
        if len(self._numbers) < count:
            drawn = [torch.rand(DRAWN, generator=g, dtype=torch.float64) for g in self._generators]
            self._numbers = torch.cat([self._numbers, torch.stack(drawn, dim=1) * BELOW_ONE])
        numbers, self._numbers = self._numbers[:count], self._numbers[count:]
        return numbers

    def select(self, rows: list[int]) -> None:
        """Keep these rows, in this order."""
        self._generators = [self._generators[row] for row in rows]
        self._numbers = self._numbers[:, rows]
