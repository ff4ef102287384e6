"""Probe for training in bfloat16: one small step of a cell on a device."""

from functools import cache

import torch
from torch.nn.functional import linear

from charlm.cells.catalogue import CELLS, CellName, make_cell
from charlm.cells.layer import FUSED, RecurrentLayer

SIZE = 8


@cache
def trains_in_bfloat16(cell: CellName, device: torch.device) -> bool:
    """Return whether a layer of the cell supports forward and backward in bfloat16 autocast.

    The available kernels depend on the processor, the device, torch's version and variables such as
    `ONEDNN_MAX_CPU_ISA`: oneDNN's LSTM needs AVX-512, its matrix products do not. Cells without a
    torch kernel are stepped in float32, with only their inputs multiplied in bfloat16 as in every
    network; for these "rnn" is probed.
    """
    kind = cell if CELLS[cell] in FUSED else "rnn"
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        layer = RecurrentLayer(make_cell(kind, SIZE, SIZE)).to(device)
        x = torch.zeros(2, 2, SIZE, device=device)
        try:
            with torch.autocast(device.type, torch.bfloat16):
                output, _ = layer(x, layer.initial_state(2))  # x in float32, as embeddings are
                linear(output, x.new_ones(SIZE, SIZE)).sum().backward()
        except RuntimeError:
            return False
    return True
