"""Find out by a tiny step whether a cell can be trained in bfloat16 on a device."""

from functools import cache

import torch
from torch.nn.functional import linear

from charlm.cells.catalogue import CELLS, CellName, make_cell
from charlm.cells.layer import FUSED, RecurrentLayer

SIZE = 8


@cache
def trains_in_bfloat16(cell: CellName, device: torch.device) -> bool:
    """Return whether a layer of the cell can go forward and back under autocast to bfloat16.

    Which kernels there are depends on the processor, the device, torch's version and variables such
    as `ONEDNN_MAX_CPU_ISA`: oneDNN's LSTM needs AVX-512 where its products do not. Cells that torch
    has no kernel for are stepped in float32, and their inputs are multiplied in bfloat16 as in
    every network.
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
