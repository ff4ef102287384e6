"""The body of a recurrent language model: token ids to hidden vectors."""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, pad

from charlm.cells import (
    CELLS,
    Dense,
    EmbeddingDropout,
    Held,
    LockedDropout,
    Lookup,
    OneHot,
    Part,
    RecurrentLayer,
    RecurrentStack,
    State,
    Transition,
    as_inputs,
    make_cell,
    make_connection,
)
from charlm.model.config import NUM_SPECIALS, ModelConfig
from charlm.model.labels import Labels
from charlm.model.length import begin_count, nearness, tokens_left
from charlm.model.tied_rows import take_rows

LEAK = 0.5
FEW = 1024  # tokens: looking up all of them costs no more than finding the distinct ones
DISTINCT = 64  # distinct tokens of a window are padded to a multiple of this


class Body(nn.Module):
    """Embedding and stack of recurrent layers: token ids to hidden vectors."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.vocab_size = config.vocab_size
        self.start_id = config.vocab_size - NUM_SPECIALS
        self.is_tied = config.tie_embeddings
        self.embedding: nn.Embedding | None = None  # None for one-hot codes
        if config.embedding == "learned":
            self.embedding = make_embedding(config.vocab_size, config.embedding_size)
        between = config.dropout if config.hidden_dropout is None else config.hidden_dropout
        connection = make_connection(config.connect, config.hidden_size, config.num_layers)
        self.stack = RecurrentStack(make_layers(config), between, connection)
        self.labels: Labels | None = None
        if config.label is not None:
            sizes = [(s,) * CELLS[config.cell].num_states for s in config.layer_sizes]
            begins = config.label in ("state", "both")
            self.labels = Labels(config.num_labels, sizes, begins=begins)
        self.config = config
        self.embedding_dropout = EmbeddingDropout(config.embedding_dropout)
        self.input_dropout = LockedDropout(config.input_dropout)
        self.output_dropout = LockedDropout(config.dropout)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return hidden vectors, (batch, time, output_size), and the state after the last token.

        With stop_by "length" two more features follow: the tokens left and the length.

        Args:
            tokens: (batch, time), int64.
            state: state before the first token.
        """
        _, hidden, state = self.activations(tokens, state)
        return hidden, state

    def activations(self, tokens: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """Return the output before the output dropout, the result of `forward`, and the state."""
        layers, code, count = self._split(state)
        time, beside = tokens.shape[1], list[Part]()
        if code is not None:
            beside.append(Held(code, time))
        if count is not None:
            tokens, count = begin_count(tokens, count, self.vocab_size, self.start_id)
            left = tokens_left(count, time)
            beside.append(Dense(nearness(left)))
        embedded = self._embed(tokens)
        inputs = (*as_inputs(embedded), *beside) if beside else embedded
        raw, layers = self.stack(inputs, layers)
        hidden = self.output_dropout(raw)
        if count is not None:
            total = count[:, 1:].expand(-1, time)
            hidden = torch.cat([hidden.to(left.dtype), left.unsqueeze(-1), total.unsqueeze(-1)], -1)
            count = torch.cat([count[:, :1] - time, count[:, 1:]], 1)
        extras = ((part,) for part in (code, count) if part is not None)
        return raw, hidden, (*layers, *extras)

    def initial_state(self, batch_size: int, code: Tensor | None) -> State:
        """Return the state before any token: zeros, or the initial state of the labels.

        Args:
            batch_size: number of rows.
            code: weight of each label, (batch, num_labels); required for a model with labels.
        """
        state = self.stack.initial_state(batch_size)
        if self.labels is not None:
            assert code is not None
            state = self.labels.begin(state, code)
            if self.config.sees_label:
                state = (*state, (code,))
        if self.config.stop_by == "length":
            state = (*state, (state[0][0].new_zeros(batch_size, 2),))
        return state

    def output(self, state: State) -> Tensor:
        """Return the stack's output for the last token before a state, (batch, output_size)."""
        return self.stack.output(self._split(state)[0])

    def _split(self, state: State) -> tuple[State, Tensor | None, Tensor | None]:
        """Split a state into layer states, label code and token count, None if not used."""
        config, layers = self.config, state[: self.config.num_layers]
        extras = iter(state[config.num_layers :])
        code = next(extras)[0] if config.sees_label else None
        count = next(extras)[0] if config.stop_by == "length" else None
        return layers, code, count

    def _embed(self, tokens: Tensor) -> Tensor | Lookup | OneHot:
        """Return the embeddings of tokens, (batch, time, embedding_size), in the fastest form."""
        if self.embedding is None:
            return OneHot(tokens, self.vocab_size)
        weight = self.embedding.weight
        shares = self.stack.recurrent_layers()[0].shares_inputs() and not (
            self.input_dropout.is_active  # its mask differs between the rows of the batch
        )
        if not shares:
            vectors: Tensor = embedding(tokens, self.embedding_dropout(weight))
            dropped: Tensor = self.input_dropout(vectors)
            return dropped
        if len(weight) <= FEW:
            return Lookup(self.embedding_dropout(weight), tokens)
        distinct, index = tokens.unique(return_inverse=True)
        # A matrix product of a new shape is compiled first. Padding keeps the shapes few.
        distinct = pad(distinct, (0, -len(distinct) % DISTINCT))
        vectors = take_rows(weight, distinct) if self.is_tied else embedding(distinct, weight)
        return Lookup(self.embedding_dropout(vectors), index)


def make_embedding(vocab_size: int, size: int) -> nn.Embedding:
    """Return an embedding initialized uniformly in [-0.1, 0.1] (Merity et al. 2018, sec. 5).

    The constructor of nn.Embedding would first draw normal numbers. On the meta device, where
    loading starts, that imports parts of torch, which takes about a second.
    """
    weight = torch.empty(vocab_size, size)
    nn.init.uniform_(weight, -0.1, 0.1)
    made: nn.Embedding = nn.Embedding.from_pretrained(weight, freeze=False)
    return made


def make_layers(config: ModelConfig) -> list[RecurrentLayer]:
    """Return the recurrent layers, starting with the one above the embedding."""
    layers = []
    for input_size, size in zip(config.input_sizes, config.layer_sizes, strict=True):
        cell = make_cell(
            config.cell,
            input_size,
            size,
            vocab_size=config.vocab_size,
            leak=LEAK if config.leak is None else config.leak,
            mogrifier_steps=config.mogrifier_steps,
        )
        depth = config.transition_depth
        transition = Transition(size, depth) if depth > 1 else None
        layers.append(RecurrentLayer(cell, config.weight_dropout, transition))
    return layers
