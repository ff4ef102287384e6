"""Language models packed for decoding on a CPU: one call of C per step (`kernels/step.c`)."""

import ctypes
import os
import weakref

import torch
from torch import Tensor
from torch.nn.functional import pad

from charlm.cells import CELLS, CellName, RecurrentLayer, State
from charlm.kernels import KINDS, WIDTH, KernelLayer, KernelModel, load_kernel
from charlm.model.adaptive import AdaptiveHead, log_probs
from charlm.model.language_model import LanguageModel

MAX_TABLE_BYTES = 1 << 28
MIN_TEMPERATURE = 1e-20  # a much lower temperature would be 0 in float32
PANEL = 4 * WIDTH  # floats of a panel per input
NAMES = {cell: name for name, cell in CELLS.items() if name in KINDS}  # cells of step.c


class PackedScores:
    """Scores of a head's outputs, as from `LanguageModel` in float32 but many times as fast.

    The weights are copied in the order in which `kernels/step.c` reads them. The result of a row
    does not depend on the batch it is in, to the last bit. What each token's embedding adds to the
    first layer is computed once and cached, unless the table of all tokens would exceed 256 MiB.
    The state is one tensor, (batch, state_size).
    """

    def __init__(
        self, model: LanguageModel, weight: Tensor, bias: Tensor, num_threads: int
    ) -> None:
        """Pack the body of a model and a head.

        Args:
            model: model for which `can_pack` is true.
            weight: weight of the head, (outputs, size).
            bias: bias of the head, (outputs,).
            num_threads: number of threads per step, including the caller.
        """
        kernel, embedding = load_kernel(), model.body.embedding
        assert kernel is not None and embedding is not None and can_pack(model)
        self._step, self._write = kernel.charlm_step, kernel.charlm_write
        self._kept: list[Tensor] = []  # tensors whose addresses the kernel uses
        layers: list[KernelLayer] = []
        self._state_size = 0
        for layer in model.body.stack.recurrent_layers():
            layers.append(self._pack_layer(layer))
            self._state_size += layers[-1].padded_size * layer.cell.num_states
        self._top = layers[-1]
        layers.append(self._pack_head(weight, bias))
        self._num_outputs = len(weight)
        self._vocab_size = model.config.vocab_size
        self._model = KernelModel(
            num_layers=len(layers) - 1,
            state_size=self._state_size,
            layers=(KernelLayer * len(layers))(*layers),
            embedding=self._keep(embedding.weight.detach().clone()),
        )
        row_size = layers[0].padded_size // units_per_panel(model.config.cell) * PANEL
        if 4 * row_size * self._vocab_size <= MAX_TABLE_BYTES:
            self._model.table = self._keep(torch.empty(self._vocab_size, row_size))
            self._model.known = self._keep(torch.zeros(self._vocab_size, dtype=torch.uint8))
        self._address = ctypes.byref(self._model)
        self._threads = kernel.charlm_open_pool(num_threads - 1) if num_threads > 1 else None
        self._owner = os.getpid()
        if self._threads is not None:
            weakref.finalize(self, close_pool, self._threads, self._owner)

    def initial_state(self, batch_size: int) -> State:
        return ((torch.zeros(batch_size, self._state_size),),)

    def hidden(self, state: State) -> Tensor:
        """Return the last layer's output, (batch, hidden_size), a view of the state."""
        ((states,),) = state
        return states[:, self._top.offset : self._top.offset + self._top.hidden_size]

    def _scores(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Return scores, (batch, outputs), after `tokens`, (batch,), and the next state.

        Raises:
            IndexError: a token is not in the vocabulary.
        """
        ((before,),) = state
        rows = tokens.shape[0]
        assert before.is_contiguous() and before.shape == (rows, self._state_size)
        assert tokens.dtype == torch.long and before.dtype == torch.float32
        tokens = tokens.contiguous()
        after = before.new_empty(rows, self._state_size)
        scores = before.new_empty(rows, self._num_outputs)
        # The kernel checks tokens only against the number of outputs, clusters included.
        known = self._num_outputs == self._vocab_size or bool((tokens < self._vocab_size).all())
        known = known and self._step(
            self._address,
            self._pool(),
            rows,
            tokens.data_ptr(),
            before.data_ptr(),
            after.data_ptr(),
            scores.data_ptr(),
        )
        if not known:
            raise IndexError(f"a token is not among the {self._vocab_size} of the vocabulary")
        return scores, ((after,),)

    def _pool(self) -> int | None:
        """Return the pool of threads, or None in a fork, which does not inherit threads."""
        return self._threads if os.getpid() == self._owner else None

    def _pack_layer(self, layer: RecurrentLayer) -> KernelLayer:
        cell, name = layer.cell, NAMES[type(layer.cell)]
        gates, units = cell.num_gates, units_per_panel(name)
        start = cell.bias_ih + cell.bias_hh
        if name == "gru":  # the candidate needs both biases separately
            hidden = layer.hidden_size
            start = torch.cat([start[:-hidden], cell.bias_ih[-hidden:], cell.bias_hh[-hidden:]])
        return KernelLayer(
            kind=KINDS[name],
            input_size=layer.input_size,
            hidden_size=layer.hidden_size,
            padded_size=-(-layer.hidden_size // units) * units,
            offset=self._state_size,
            from_input=self._keep(pack(cell.weight_ih, gates, units)),
            from_hidden=self._keep(pack(cell.weight_hh, gates, units)),
            start=self._keep(pack(start[:, None], len(start) // layer.hidden_size, units)),
        )

    def _pack_head(self, weight: Tensor, bias: Tensor) -> KernelLayer:
        num_outputs, size = weight.shape
        return KernelLayer(
            kind=KINDS["head"],
            input_size=size,
            hidden_size=num_outputs,
            padded_size=-(-num_outputs // PANEL) * PANEL,
            from_input=self._keep(pack(weight, 1, PANEL)),
            start=self._keep(pack(bias[:, None], 1, PANEL)),
        )

    def _keep(self, tensor: Tensor) -> int:
        self._kept.append(tensor)
        return tensor.data_ptr()


class PackedModel(PackedScores):
    """Packed model with a full softmax: the scores of its outputs are the logits."""

    def __init__(self, model: LanguageModel, num_threads: int) -> None:
        projection = model.head.projection
        super().__init__(model, projection.weight, projection.bias, num_threads)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Implement `StepModel.step`.

        Raises:
            IndexError: a token is not in the vocabulary.
        """
        return self._scores(tokens, state)

    def write(
        self,
        logits: Tensor,
        state: State,
        count: int,
        added: Tensor,
        temperature: float,
        uniforms: Tensor | None,
    ) -> tuple[Tensor, Tensor, State]:
        """Implement `ChunkModel.write`; a temperature below 1e-20 counts as 1e-20."""
        rows = logits.shape[0]
        assert logits.dtype == added.dtype == torch.float32
        assert uniforms is None or uniforms.dtype == torch.float64
        assert logits.shape == (rows, self._vocab_size) and added.shape == (self._vocab_size,)
        assert uniforms is None or uniforms.shape == (count, rows)
        logits = logits.clone(memory_format=torch.contiguous_format)
        ((before,),) = state
        assert before.dtype == torch.float32 and before.shape == (rows, self._state_size)
        states = (before.clone(memory_format=torch.contiguous_format), torch.empty_like(before))
        tokens = torch.empty(count, rows, dtype=torch.long)
        weights = torch.empty(self._vocab_size)
        added = added.contiguous()
        uniforms = None if uniforms is None else uniforms.contiguous()
        self._write(
            self._address,
            self._pool(),
            rows,
            count,
            added.data_ptr(),
            max(temperature, MIN_TEMPERATURE),
            None if uniforms is None else uniforms.data_ptr(),
            tokens.data_ptr(),
            states[0].data_ptr(),
            states[1].data_ptr(),
            logits.data_ptr(),
            weights.data_ptr(),
        )
        return tokens, logits, ((states[count % 2],),)


class PackedAdaptiveModel(PackedScores):
    """Packed model with an adaptive softmax: each word and each cluster is an output."""

    def __init__(self, model: LanguageModel, num_threads: int) -> None:
        assert isinstance(model.head, AdaptiveHead)
        self._clusters = model.head.clusters
        parts = (model.head.projection, model.head.cluster_projection)
        weight = torch.cat([part.weight for part in parts])
        super().__init__(model, weight, torch.cat([part.bias for part in parts]), num_threads)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Implement `StepModel.step`; the logits are log-probabilities.

        Raises:
            IndexError: a token is not in the vocabulary.
        """
        scores, state = self._scores(tokens, state)
        words, clusters = scores.split([self._vocab_size, len(self._clusters.cutoffs)], -1)
        return log_probs(words, clusters, self._clusters), state


def can_pack(model: LanguageModel) -> bool:
    """Return whether `kernels/step.c` supports the cells, connections and inputs of a model."""
    config = model.config
    plain = (config.embedding, config.connect, config.transition_depth) == ("learned", "plain", 1)
    plain = plain and config.label is None and config.stop_by == "symbol"
    return plain and all(type(layer.cell) in NAMES for layer in model.body.stack.recurrent_layers())


def close_pool(pool: int, owner: int) -> None:
    """End the threads of a pool, in the process `owner` only: a fork has none of them."""
    kernel = load_kernel()
    if kernel is not None and os.getpid() == owner:
        kernel.charlm_close_pool(pool)


def units_per_panel(cell: CellName) -> int:
    """Return the units of a panel: 16 with several gates, or 64 with one."""
    return WIDTH if cell in ("lstm", "gru") else PANEL


@torch.no_grad()
def pack(weight: Tensor, gates: int, units: int) -> Tensor:
    """Pack (gates * size, inputs) as (panel, inputs, gates, units), padded with zeros."""
    gates_first = weight.view(gates, -1, weight.shape[1])
    missing = -gates_first.shape[1] % units
    panels = pad(gates_first, (0, 0, 0, missing)).view(gates, -1, units, weight.shape[1])
    return panels.permute(1, 3, 0, 2).contiguous()
