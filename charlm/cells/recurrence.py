"""LSTM over a window in bfloat16 on a CPU, with the recurrence in C (`kernels/lstm.c`).

One matrix product before the recurrence computes what the inputs of a whole window add to the
gates, and one after it the gradients of the weights. Only what depends on the previous step is
computed step by step.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from charlm.cells.cell import LayerState
from charlm.kernels import DEPTH, LANES, KernelWindow, Speed, load_lstm, lstm_speed

GATES = 4
MAX_TAKEN = 1 << 24  # inputs times steps: a 0/1 matrix of 32 MiB in bfloat16
SLICE = 1024  # steps whose gradients are summed at a time, in float32


def has_fast_recurrence(weight_hh: Tensor) -> bool:
    """Return whether `lstm_window` can be used, and autocast asks for its precision.

    This requires float32 weights on a CPU, autocast to bfloat16, and a compiled kernel that the
    processor supports.
    """
    return (
        weight_hh.device.type == "cpu"
        and weight_hh.dtype == torch.float32
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
        and lstm_speed() > Speed.NONE
    )


def lstm_window(
    inputs: Tensor,
    index: Tensor | None,
    weight_hh: Tensor,
    bias: Tensor,
    state: LayerState,
    peepholes: Tensor | None = None,
) -> tuple[Tensor, LayerState]:
    """Advance an LSTM by a window.

    Args:
        inputs: W x in bfloat16, gates stacked as in torch: (batch, time, 4 * hidden_size), or with
            an index (any, 4 * hidden_size).
        index: (batch, time), int64: row of the inputs that each step takes; None: `inputs` has a
            row for each step.
        weight_hh: (4 * hidden_size, hidden_size), float32.
        bias: (4 * hidden_size,), float32: sum of the biases of both products.
        state: hidden and cell, each (batch, hidden_size).
        peepholes: (3, hidden_size), float32: peephole weights of i, f and o; None: no peepholes.

    Returns:
        The hidden vectors, (batch, time, hidden_size) in bfloat16, and the state after the last
        token in float32.

    Raises:
        IndexError: an index is below 0 or not below the number of inputs.
    """
    rows, time = inputs.shape[:2] if index is None else index.shape
    assert inputs.dtype == torch.bfloat16 and weight_hh.dtype == bias.dtype == torch.float32
    assert all(part.shape == (rows, weight_hh.shape[1]) for part in state)
    if index is not None and index.numel():
        lowest, highest = index.aminmax()
        if lowest < 0 or highest >= len(inputs):
            raise IndexError(f"a token is not among the {len(inputs)} that are looked up")
    tensors = (inputs, weight_hh, bias, *(part.float() for part in state), peepholes)
    keeps = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    output, cell = LSTMWindow.apply(  # type: ignore[no-untyped-call]
        *tensors, index, (rows, time), keeps
    )
    return output, (output[:, -1].float(), cell)


class LSTMWindow(torch.autograd.Function):
    """Autograd function: an LSTM and its backpropagation through time (Werbos 1990)."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        weight_hh: Tensor,
        bias: Tensor,
        hidden: Tensor,
        cell: Tensor,
        peepholes: Tensor | None,
        index: Tensor | None,
        shape: tuple[int, int],
        keeps: bool,
    ) -> tuple[Tensor, Tensor]:
        kernel = load_lstm()
        assert kernel is not None
        (rows, time), size = shape, weight_hh.shape[1]
        padded = -(-size // DEPTH) * DEPTH
        blocks, panels = -(-rows // LANES), padded // LANES
        forwards, backwards = pack_weights(weight_hh, padded, keeps)
        lanes = (time if keeps else 1, panels, blocks * LANES)
        cells = bias.new_empty(*lanes, LANES)
        activations = inputs.new_empty(*lanes, GATES, LANES) if keeps else None
        output = inputs.new_empty(rows, time, size)
        cell = cell.contiguous()
        last_cell = torch.empty_like(cell)
        tensors = {
            "weights": forwards,
            "operand": inputs.new_zeros(2, blocks, padded // DEPTH, LANES, DEPTH),
            "activations": activations,
            "cells": cells,
            "first_cell": cell,
            "inputs": inputs.contiguous(),
            "index": None if index is None else index.long().contiguous(),
            "bias": bias.contiguous(),
            "peepholes": None if peepholes is None else peepholes.contiguous(),
            "first_hidden": hidden.contiguous(),
            "output": output,
            "last_cell": last_cell,
        }
        kernel.charlm_lstm_forward(kernel_argument(rows, time, size, tensors))
        kept = (output, backwards, activations, cells)
        ctx.save_for_backward(index, weight_hh, hidden, cell, peepholes, *kept)
        ctx.inputs_shape = inputs.shape
        return output, last_cell

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, output_gradient: Tensor, cell_gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        kernel = load_lstm()
        assert kernel is not None
        index, weight_hh, hidden, cell, peepholes, *kept = ctx.saved_tensors
        output, backwards, activations, cells = kept
        rows, time, size = output.shape
        carried = to_panels(cell_gradient, activations.shape[1], activations.shape[2])
        gates = output.new_empty(rows, time, GATES * size)
        bias_gradient = cells.new_zeros(GATES * size)
        peephole_gradient = None if peepholes is None else torch.zeros_like(peepholes)
        tensors = {
            "weights": backwards,
            "operand": output.new_zeros(2, activations[0].numel()),
            "activations": activations,
            "cells": cells,
            "first_cell": cell,
            "output_gradient": output_gradient.to(torch.bfloat16).contiguous(),
            "cell_gradient": carried,
            "gate_gradient": gates,
            "bias_gradient": bias_gradient,
            "peepholes": None if peepholes is None else peepholes.contiguous(),
            "peephole_gradient": peephole_gradient,
        }
        kernel.charlm_lstm_backward(kernel_argument(rows, time, size, tensors))
        before = torch.cat([hidden.to(output.dtype).unsqueeze(1), output[:, :-1]], dim=1)
        weight_gradient = torch.mm(gates.flatten(0, 1).t(), before.flatten(0, 1))
        inputs_gradient = gates
        if index is not None:
            inputs_gradient = gather(gates.flatten(0, 1), index.flatten(), ctx.inputs_shape[0])
        hidden_gradient = cell_before = None
        if ctx.needs_input_grad[3]:
            hidden_gradient = torch.mm(gates[:, 0].float(), weight_hh)
        if ctx.needs_input_grad[4]:
            cell_before = carried.permute(1, 0, 2).flatten(1)[:rows, :size].contiguous()
        return (
            inputs_gradient,
            weight_gradient.float(),
            bias_gradient,
            hidden_gradient,
            cell_before,
            peephole_gradient,
            *(None, None, None),
        )


def pack_weights(weight_hh: Tensor, padded: int, both: bool) -> tuple[Tensor, Tensor | None]:
    """Return the recurrent weights as lstm.c reads them, for the forward and the backward pass.

    Args:
        weight_hh: (4 * hidden_size, hidden_size), float32.
        padded: the hidden size rounded up to a multiple of `DEPTH`.
        both: whether to pack for the backward pass too; otherwise that result is None.

    Returns:
        Two packed tensors, each (4 * padded * padded,) in bfloat16.
    """
    kernel = load_lstm()
    assert kernel is not None
    weight = weight_hh.detach().contiguous()
    forwards = weight.new_zeros(GATES * padded * padded, dtype=torch.bfloat16)
    backwards = torch.zeros_like(forwards) if both else None
    kernel.charlm_lstm_pack(
        weight.data_ptr(),
        weight.shape[1],
        forwards.data_ptr(),
        None if backwards is None else backwards.data_ptr(),
    )
    return forwards, backwards


def kernel_argument(rows: int, time: int, size: int, tensors: dict[str, Tensor | None]) -> Any:
    """Return the argument of lstm.c's functions; the tensors must outlive the call."""
    addresses = {name: None if t is None else t.data_ptr() for name, t in tensors.items()}
    how = (torch.get_num_threads(), lstm_speed() == Speed.TILES)
    return ctypes.byref(KernelWindow(rows, time, size, *how, **addresses))


def to_panels(x: Tensor, panels: int, rows: int) -> Tensor:
    """Return x, (batch, hidden_size), as float32 (panels, rows, LANES), padded with zeros."""
    filled = x.new_zeros(rows, panels * LANES, dtype=torch.float32)
    filled[: x.shape[0], : x.shape[1]] = x
    return filled.view(rows, panels, LANES).transpose(0, 1).contiguous()


def gather(gradients: Tensor, index: Tensor, num_inputs: int) -> Tensor:
    """Sum the gradients of all steps that took the same input.

    For few inputs this is a product with a matrix of ones and zeros, which is many times as fast as
    indexed addition.

    Args:
        gradients: (steps, 4 * hidden_size).
        index: (steps,), int64: the input that each step took.
        num_inputs: number of inputs.

    Returns:
        (num_inputs, 4 * hidden_size), in the dtype of the gradients.
    """
    if num_inputs * len(index) <= MAX_TAKEN:
        took = gradients.new_zeros(num_inputs, len(index))
        took[index, torch.arange(len(index), device=index.device)] = 1
        return torch.mm(took, gradients)
    total = gradients.new_zeros(num_inputs, gradients.shape[1], dtype=torch.float32)
    for some, where in zip(gradients.split(SLICE), index.split(SLICE), strict=True):
        total.index_add_(0, where, some.float())
    return total.to(gradients.dtype)
