"""A recurrent language model: a body and a head."""

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from charlm.cells import RecurrentStack, State, reset_state
from charlm.model.config import ModelConfig
from charlm.model.head import SoftmaxHead


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


class Body(nn.Module):
    """Token ids to hidden vectors: an embedding and a stack of recurrent layers."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        # nn.Embedding by itself would draw normal numbers first, for which a weightless model of
        # the meta device, as loading begins with, imports a second's worth of torch.
        weight = torch.empty(config.vocab_size, config.embedding_size)
        nn.init.uniform_(weight, -0.1, 0.1)  # Merity et al. 2018, sec. 5
        self.embedding: nn.Embedding = nn.Embedding.from_pretrained(weight, freeze=False)
        self.stack = RecurrentStack(
            config.cell,
            config.embedding_size,
            config.hidden_size,
            config.num_layers,
            config.dropout,
        )

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """(batch, time) to (batch, time, hidden_size), and the state after the last token."""
        hidden, state = self.stack(self.embedding(tokens), state)
        return hidden, state


class LanguageModel(nn.Module):
    """P(next token | tokens so far). The state comes in and goes out; the model keeps none."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.body = Body(config)
        self.head = SoftmaxHead(config.hidden_size, config.vocab_size)
        if config.tie_embeddings:
            self.head.projection.weight = self.body.embedding.weight

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.body.embedding.weight.device

    def initial_state(self, batch_size: int) -> State:
        return self.body.stack.initial_state(batch_size)

    def carry_state(self, state: State | None, fresh: NDArray[np.bool_]) -> State:
        """The state a window starts from: the last one's, zero in the rows that start anew."""
        if state is None or fresh.all():
            return self.initial_state(len(fresh))
        if fresh.any():
            return reset_state(state, torch.from_numpy(fresh).to(self.device))
        return state

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (batch, time, vocab_size) of what follows each of `tokens` (batch, time)."""
        hidden, state = self.body(tokens, state)
        return self.head(hidden), state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        logits, state = self(tokens.unsqueeze(1), state)
        return logits.squeeze(1), state

    def hidden(self, state: State) -> Tensor:
        return state[-1][0]

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
            part = name.split(".fused.")[0].removesuffix(".weight").removesuffix(".bias")
            part = part.removeprefix("body.").removeprefix("stack.").replace("layers.", "layer ")
            part = part.replace("head.projection", "head")
            parts[part] = parts.get(part, 0) + parameter.numel()
        return parts
