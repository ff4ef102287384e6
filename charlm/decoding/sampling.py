"""One token after the other: greedy, or drawn from the model's distribution."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from charlm.decoding.config import DecodingConfig
from charlm.decoding.filters import bar_tokens, scale_temperature
from charlm.model import State, StepModel


def generate_tokens(
    model: StepModel,
    prompt: Sequence[int],
    config: DecodingConfig,
    *,
    barred: Sequence[int],
    stop_id: int,
    generator: torch.Generator,
) -> Iterator[int]:
    """Yield the tokens that follow `prompt`, up to `<stop>` (not yielded) or `max_new_tokens`.

    Args:
        model: gives the probabilities.
        prompt: token ids, `<start>` first; at least one.
        config: greedy, or the temperature to sample at.
        barred: tokens that are never chosen.
        stop_id: the token that ends the text.
        generator: the source of randomness, on the CPU.
    """
    logits, state = read_prompt(model, prompt)
    for _ in range(config.max_new_tokens):
        token = choose(bar_tokens(logits, barred), config, generator)
        if token == stop_id:
            return
        yield token
        with torch.inference_mode():
            logits, state = model.step(logits.new_tensor([token], dtype=torch.long), state)


def read_prompt(model: StepModel, prompt: Sequence[int], rows: int = 1) -> tuple[Tensor, State]:
    """Logits (rows, vocab_size) of what follows the prompt, and the state after it."""
    with torch.inference_mode():
        state = model.initial_state(rows)
        for token in prompt:
            tokens = state[0][0].new_full((rows,), token, dtype=torch.long)
            logits, state = model.step(tokens, state)
    return logits, state


def choose(logits: Tensor, config: DecodingConfig, generator: torch.Generator) -> int:
    """The next token given logits (1, vocab_size)."""
    if config.is_greedy:
        return int(logits.argmax())
    # In float64, and below 0, even the coldest and the hottest temperature leave numbers.
    shifted = logits[0].cpu().double() - logits.max().item()
    return draw(scale_temperature(shifted, config.temperature), generator)


def draw(logits: Tensor, generator: torch.Generator) -> int:
    """Draw one token from softmax(logits), (vocab_size,), by inverting the distribution function.

    One uniform number a token, in float64 on the CPU, so that a seed gives the same text however
    many others are drawn beside it.
    """
    cumulative = logits.cpu().double().softmax(dim=-1).cumsum(dim=-1)
    uniform = torch.rand((), generator=generator, dtype=torch.float64)
    # The last sum may miss 1 by rounding: scale, so that the draw stays inside.
    return int(torch.searchsorted(cumulative, uniform * cumulative[-1], right=True))
