"""A recurrent layer: a cell unrolled over a window, with fused kernels where available."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from charlm.cells.cell import LayerState, RecurrentCell
from charlm.cells.dropout import WeightDropout
from charlm.cells.gru import GRUCell
from charlm.cells.inputs import Inputs, Lookup, OneHot, Part, as_inputs, dense, product
from charlm.cells.lstm import LSTMCell, PeepholeLSTMCell
from charlm.cells.recurrence import has_fast_recurrence, lstm_window
from charlm.cells.rnn import ReluCell, TanhCell
from charlm.cells.transition import Transition

FUSED: dict[type[RecurrentCell], Callable[..., Any]] = {  # torch's: cuDNN on GPU, oneDNN on CPU
    TanhCell: torch.rnn_tanh,
    ReluCell: torch.rnn_relu,
    LSTMCell: torch.lstm,
    GRUCell: torch.gru,
}


class RecurrentLayer(nn.Module):
    """Recurrent layer that runs a cell over a whole window.

    The result equals that of stepping `cell` through the window. In training, recurrent weights are
    dropped with probability `weight_dropout`, the same ones for the whole window.
    """

    def __init__(
        self,
        cell: RecurrentCell,
        weight_dropout: float = 0.0,
        transition: Transition | None = None,
    ) -> None:
        super().__init__()
        self.cell = cell
        self.transition = transition
        self.input_size = cell.weight_ih.shape[1]
        self.hidden_size = cell.hidden_size
        self.weight_dropout = WeightDropout(weight_dropout)

    def initial_state(self, batch_size: int) -> LayerState:
        """Return a state of zeros, each tensor (batch_size, hidden_size)."""
        return self.cell.initial_state(batch_size)

    def forward(self, x: Tensor | Part | Inputs, state: LayerState) -> tuple[Tensor, LayerState]:
        """Advance by a window: x is (batch, time, input_size), the output (batch, time, hidden).

        A `Lookup` gives the same result faster: what an input adds to the gates is computed once
        for all steps that share it.
        """
        parts = as_inputs(x)
        weight_hh = self.weight_dropout(self.cell.weight_hh)
        if self.shares_inputs():
            return self._run_own(parts, weight_hh, state)
        if self.is_fused() and not any(isinstance(part, OneHot) for part in parts):
            return self._run_fused(dense(parts), weight_hh, state)
        return self._unroll(parts, weight_hh, state)

    def is_fused(self) -> bool:
        """Return whether torch has a fused kernel for this layer."""
        return type(self.cell) in FUSED and self.transition is None

    def shares_inputs(self) -> bool:
        """Return whether a `Lookup` is the faster form of input, given device and autocast."""
        own = type(self.cell) in (LSTMCell, PeepholeLSTMCell) and self.transition is None
        return own and has_fast_recurrence(self.cell.weight_hh)

    def _run_own(
        self, parts: Inputs, weight_hh: Tensor, state: LayerState
    ) -> tuple[Tensor, LayerState]:
        weight = self.cell.weight_ih
        index: Tensor | None = None
        bias = self.cell.bias_ih + self.cell.bias_hh
        match parts:
            case (Lookup() as lookup,):
                inputs, index = linear(lookup.vectors, weight), lookup.index
            case (OneHot() as code,):
                inputs, index = weight.t().to(torch.bfloat16), code.index
            case _:
                inputs = product(parts, weight).to(torch.bfloat16)
        peepholes = self.cell.weight_ch if isinstance(self.cell, PeepholeLSTMCell) else None
        return lstm_window(inputs, index, weight_hh, bias, state, peepholes)

    def _run_fused(
        self, x: Tensor, weight_hh: Tensor, state: LayerState
    ) -> tuple[Tensor, LayerState]:
        if x.is_cuda and torch.is_autocast_enabled("cuda"):
            # Whatever dtype is requested, autocast gives cuDNN's recurrent kernels float16, which
            # underflows without loss scaling. They run in float32 (TF32) instead.
            with torch.autocast("cuda", enabled=False):
                return self._run_fused(x.float(), weight_hh, tuple(s.float() for s in state))
        weights = (self.cell.weight_ih, weight_hh, self.cell.bias_ih, self.cell.bias_hh)
        # torch expects a leading layer axis. A bfloat16 state may be continued in float32.
        first = [s.to(x.dtype).unsqueeze(0).contiguous() for s in state]
        begin = first if len(first) > 1 else first[0]
        # has_biases, num_layers, dropout, train, bidirectional, batch_first
        output, *last = FUSED[type(self.cell)](
            x, begin, weights, True, 1, 0.0, self.training, False, True
        )
        return output, tuple(s.squeeze(0) for s in last)

    def _unroll(
        self, parts: Inputs, weight_hh: Tensor, state: LayerState
    ) -> tuple[Tensor, LayerState]:
        """Step through the window in the weights' dtype.

        Rounding errors would accumulate in a bfloat16 state.
        """
        inputs, outputs = self.cell.project(parts).to(weight_hh.dtype), []
        state = tuple(part.to(weight_hh.dtype) for part in state)
        with torch.autocast(inputs.device.type, enabled=False):
            for inputs_t in inputs.unbind(dim=1):
                if self.transition is not None:
                    state = (self.transition(state[0]), *state[1:])
                output, state = self.cell.step(inputs_t, state, weight_hh)
                outputs.append(output)
            return torch.stack(outputs, dim=1), state
