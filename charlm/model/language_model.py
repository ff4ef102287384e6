"""A recurrent language model: a body and a head."""

import re
from copy import copy
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import one_hot

from charlm.cells import JordanCell, State, choose_state
from charlm.model.adaptive import AdaptiveHead
from charlm.model.body import Body
from charlm.model.config import NUM_SPECIALS, ModelConfig
from charlm.model.halting import HaltingHead
from charlm.model.head import SoftmaxHead
from charlm.model.length import LengthHead


class StepModel(Protocol):
    """Interface that decoding requires: a state, and a step that advances it by one token.

    The logits after tokens t1 .. tn do not depend on how many rows the batch has.
    """

    def initial_state(self, batch_size: int) -> State:
        """Return the state before any token."""
        ...

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return logits (batch, vocab_size) after `tokens`, (batch,), and the next state."""
        ...


class HiddenStepModel(StepModel, Protocol):
    """Step model that also gives the hidden vectors from which the logits are computed."""

    def hidden(self, state: State) -> Tensor:
        """Return the last layer's output after a step, (batch, hidden_size); zeros before any."""
        ...


@runtime_checkable
class ChunkModel(StepModel, Protocol):
    """Step model that can generate several tokens in one call, without other constraints."""

    def write(
        self,
        logits: Tensor,
        state: State,
        count: int,
        added: Tensor,
        temperature: float,
        uniforms: Tensor | None,
    ) -> tuple[Tensor, Tensor, State]:
        """Generate tokens drawn from softmax((logits + added) / temperature).

        Args:
            logits: (batch, vocab_size), float32: logits of the first token to draw.
            state: state from which these logits were computed.
            count: number of tokens per row.
            added: (vocab_size,), float32, added to all logits; minus infinity excludes a token.
            temperature: above 0.
            uniforms: (count, batch) in [0, 1), float64: random numbers that select the tokens;
                None: take the most probable tokens.

        Returns:
            The tokens, (count, batch), and the logits and the state after the last.
        """
        ...


def make_head(config: ModelConfig) -> SoftmaxHead | AdaptiveHead | HaltingHead | LengthHead:
    """Return the head for the configured softmax and `stop_by`."""
    if config.stop_by != "symbol":
        kind = HaltingHead if config.stop_by == "halt" else LengthHead
        return kind(config.output_size, config.vocab_size, config.vocab_size - NUM_SPECIALS + 1)
    if config.softmax == "adaptive":
        return AdaptiveHead(config.output_size, config.vocab_size, config.softmax_cutoffs)
    return SoftmaxHead(config.output_size, config.vocab_size)


class LanguageModel(nn.Module):
    """Model of P(next token | tokens so far). It takes and returns the state and keeps none."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.blend: Tensor | None = None  # default label weights, (num_labels,)
        self.body = Body(config)
        self.head = make_head(config)
        if config.tie_embeddings:
            assert self.body.embedding is not None
            self.head.projection.weight = self.body.embedding.weight
        for layer in self.body.stack.recurrent_layers():
            if isinstance(layer.cell, JordanCell):
                layer.cell.listen(self.head.projection)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.head.projection.weight.device

    def under(self, blend: Tensor) -> "LanguageModel":
        """Return a copy, with shared weights, that starts every text with these label weights.

        Args:
            blend: weight of each label, (num_labels,), with a sum of 1.
        """
        model = copy(self)
        model.blend = blend
        return model

    def initial_state(self, batch_size: int) -> State:
        if self.blend is None:
            return self.body.initial_state(batch_size, None)
        blend = self.blend.to(self.head.projection.weight)
        return self.body.initial_state(batch_size, blend.expand(batch_size, -1))

    def carry_state(
        self,
        state: State | None,
        fresh: NDArray[np.bool_],
        labels: NDArray[np.int64] | None = None,
    ) -> State:
        """Return the state at the start of a window: `state`, or in fresh rows the initial one.

        Args:
            state: state after the previous window; None before the first window.
            fresh: (batch,): rows that start from the initial state.
            labels: (batch,): label of each row; required for a model with labels.
        """
        if state is not None and not fresh.any():
            return state
        code: Tensor | None = None
        if labels is not None:
            index = torch.from_numpy(labels).to(self.device)
            code = one_hot(index, self.config.num_labels).to(self.head.projection.weight)
        begin = self.body.initial_state(len(fresh), code)
        if state is None or fresh.all():
            return begin
        return choose_state(torch.from_numpy(fresh).to(self.device), begin, state)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return logits (batch, time, vocab_size) after each of `tokens`, and the last state.

        `tokens` is (batch, time).
        """
        hidden, state = self.body(tokens, state)
        return self.head(hidden), state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        logits, state = self(tokens.unsqueeze(1), state)
        return logits.squeeze(1), state

    def hidden(self, state: State) -> Tensor:
        return self.body.output(state)

    def loss(self, inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        """Return mean nats per predicted target of a window and the state after it.

        `inputs` and `targets` are (batch, time).
        """
        hidden, state = self.body(inputs, state)
        return self.head.loss(hidden, targets), state

    def nats(self, inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the surprisal of each target in nats and the state after the window.

        `inputs`, `targets` and the surprisals are (batch, time); 0 where nothing is predicted.
        """
        hidden, state = self.body(inputs, state)
        return self.head.nats(hidden, targets), state

    def parameters_by_part(self) -> dict[str, int]:
        """Return the number of weights of each part; tied ones count as the embedding's."""
        parts: dict[str, int] = {}
        for name, parameter in self.named_parameters():
            part = part_of(name)
            parts[part] = parts.get(part, 0) + parameter.numel()
        return parts


PARTS = {
    r"body\.embedding\..*": "embedding",
    r"body\.labels\..*": "labels",
    r"body\.stack\.layers\.(\d+)\..*": r"layer \1",
    r"body\.stack\.connection\..*": "connections",
    r"head\.projection\..*": "head",
    r"head\.cluster_projection\..*": "clusters",
    r"head\.halt\..*": "halting unit",
    r"head\.lengths": "lengths",
}


def part_of(name: str) -> str:
    """Return the part of a model that the weight `name` belongs to."""
    return next(re.sub(form, part, name) for form, part in PARTS.items() if re.match(form, name))
