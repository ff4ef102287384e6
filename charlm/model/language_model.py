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
    """What decoding needs of a model: a state, and a step that takes the state on by one token.

    The logits after tokens t1 .. tn do not depend on how many rows the batch has.
    """

    def initial_state(self, batch_size: int) -> State:
        """The state before any token."""
        ...

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (batch, vocab_size) of what follows `tokens` (batch,), and the next state."""
        ...


class HiddenStepModel(StepModel, Protocol):
    """A step model that shows the hidden vectors from which the logits came."""

    def hidden(self, state: State) -> Tensor:
        """The last layer's output after a step, (batch, hidden_size); zeros before any."""
        ...


@runtime_checkable
class ChunkModel(StepModel, Protocol):
    """A model that can go on by several tokens in one call, when nothing but itself decides."""

    def write(
        self,
        logits: Tensor,
        state: State,
        count: int,
        added: Tensor,
        temperature: float,
        uniforms: Tensor | None,
    ) -> tuple[Tensor, Tensor, State]:
        """Draw a token of each row from softmax((logits + added) / temperature), step, and again.

        Args:
            logits: (batch, vocab_size), of what comes first.
            state: where it goes on from.
            count: tokens of each row.
            added: (vocab_size,), float32; minus infinity bars a token.
            temperature: above 0.
            uniforms: (count, batch) in [0, 1), float64; None takes the most probable tokens.

        Returns:
            The tokens, (count, batch), and the logits and the state after the last.
        """
        ...


def make_head(config: ModelConfig) -> SoftmaxHead | AdaptiveHead | HaltingHead | LengthHead:
    """The softmax that is asked for, and what ends a text."""
    if config.stop_by != "symbol":
        kind = HaltingHead if config.stop_by == "halt" else LengthHead
        return kind(config.output_size, config.vocab_size, config.vocab_size - NUM_SPECIALS + 1)
    if config.softmax == "adaptive":
        return AdaptiveHead(config.output_size, config.vocab_size, config.softmax_cutoffs)
    return SoftmaxHead(config.output_size, config.vocab_size)


class LanguageModel(nn.Module):
    """P(next token | tokens so far). The state comes in and goes out; the model keeps none."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.blend: Tensor | None = None  # of labels, (num_labels,), where nothing else is said
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
        """Where the weights are."""
        return self.head.projection.weight.device

    def under(self, blend: Tensor) -> "LanguageModel":
        """The same model, its weights shared, that begins every text under these labels.

        Args:
            blend: the weight of each label, (num_labels,); they sum to 1.
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
        """The state a window starts from: the last one's, or in fresh rows that of a beginning.

        Args:
            state: after the window before; None: there was none.
            fresh: (batch,): rows that start anew.
            labels: (batch,): of each row, for a model of labels.
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
        """Logits (batch, time, vocab_size) of what follows each of `tokens` (batch, time)."""
        hidden, state = self.body(tokens, state)
        return self.head(hidden), state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        logits, state = self(tokens.unsqueeze(1), state)
        return logits.squeeze(1), state

    def hidden(self, state: State) -> Tensor:
        return self.body.output(state)

    def loss(self, inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        """Mean nats per predicted target of a window, both (batch, time)."""
        hidden, state = self.body(inputs, state)
        return self.head.loss(hidden, targets), state

    def nats(self, inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        """Surprisal of each target in nats, (batch, time); 0 where it is not predicted."""
        hidden, state = self.body(inputs, state)
        return self.head.nats(hidden, targets), state

    def parameters_by_part(self) -> dict[str, int]:
        """How many weights each part holds; tied ones are counted once, as the embedding."""
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
    """The part of a model that a weight belongs to."""
    return next(re.sub(form, part, name) for form, part in PARTS.items() if re.match(form, name))
