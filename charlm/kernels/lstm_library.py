"""LSTM over a window in C (`lstm.c`), if it is compiled and the processor supports bfloat16.

`pip install` compiles it (`hatch_build.py`). Without it, training uses torch's kernels.
"""

import ctypes
from enum import IntEnum
from functools import cache
from pathlib import Path

from charlm.kernels.instruction_set import InstructionSet, max_instruction_set

Address = ctypes.c_void_p

LANES = 16  # units of a panel, rows of a block, as in lstm.c
DEPTH = 32  # the hidden size is padded to a multiple of this


class Speed(IntEnum):
    """Processor support for bfloat16 products, as returned by `charlm_lstm_speed`."""

    NONE = 0
    VECTORS = 1  # AVX-512
    TILES = 2  # AMX


class KernelWindow(ctypes.Structure):
    """The struct `Window` of lstm.c."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("rows", "time", "hidden_size")),
        *((name, ctypes.c_int32) for name in ("num_threads", "uses_tiles")),
        *((name, Address) for name in ("weights", "operand", "activations", "cells", "first_cell")),
        *((name, Address) for name in ("inputs", "index", "bias", "peepholes")),
        *((name, Address) for name in ("first_hidden", "output")),
        *((name, Address) for name in ("last_cell", "output_gradient", "cell_gradient")),
        *((name, Address) for name in ("gate_gradient", "bias_gradient", "peephole_gradient")),
    )


@cache
def lstm_speed() -> Speed:
    """Return the best support available; NONE if nothing was compiled or the limit excludes it.

    Raises:
        ConfigError: `CHARLM_MAX_CPU_ISA` names an unknown instruction set.
    """
    library, limit = load_lstm(), max_instruction_set()
    if library is None or limit < InstructionSet.AVX512_BF16:
        return Speed.NONE
    most = Speed.TILES if limit >= InstructionSet.AMX else Speed.VECTORS
    return min(most, Speed(library.charlm_lstm_speed()))


@cache
def load_lstm() -> ctypes.CDLL | None:
    """Return the compiled functions, or None if there are none or they are of another version.

    Call them only if `lstm_speed()` is above `Speed.NONE`.
    """
    try:
        library = ctypes.CDLL(str(Path(__file__).with_name("lstm.so")))
        if library.charlm_lstm_window_bytes() != ctypes.sizeof(KernelWindow):
            return None
    except (OSError, AttributeError):
        return None
    if library.charlm_lstm_speed() == Speed.NONE:  # builds for other processors have nothing else
        return library
    for function in (library.charlm_lstm_forward, library.charlm_lstm_backward):
        function.argtypes = [ctypes.POINTER(KernelWindow)]
        function.restype = None
    library.charlm_lstm_pack.argtypes = [Address, ctypes.c_int, Address, Address]
    library.charlm_lstm_pack.restype = None
    return library
