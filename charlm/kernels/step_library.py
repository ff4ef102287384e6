"""Decoding step in C (`step.c`), if it is compiled.

`pip install` compiles it for each instruction set if there is a C compiler (`hatch_build.py`).
Without it, charlm decodes with torch.
"""

import ctypes
from functools import cache
from pathlib import Path

from charlm.kernels.instruction_set import InstructionSet, max_instruction_set

WIDTH = 16  # lanes of a vector, as in step.c
KINDS = {"lstm": 0, "gru": 1, "rnn": 2, "rnn-relu": 3, "head": 4}

Address = ctypes.c_void_p


class KernelLayer(ctypes.Structure):
    """The struct `Layer` of step.c."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("kind", "input_size", "hidden_size")),
        *((name, ctypes.c_int32) for name in ("padded_size", "offset")),
        *((name, Address) for name in ("from_input", "from_hidden", "start")),
    )


class KernelModel(ctypes.Structure):
    """The struct `Model` of step.c."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("num_layers", "state_size")),
        ("layers", ctypes.POINTER(KernelLayer)),
        *((name, Address) for name in ("embedding", "table", "known")),
    )


LIBRARIES = {
    InstructionSet.AVX512: "step.avx512.so",
    InstructionSet.AVX2: "step.avx2.so",
    InstructionSet.BASELINE: "step.so",
}


def step_instruction_set() -> InstructionSet | None:
    """Return the instruction set of the compiled step in use; None if there is none."""
    found = find_kernel()
    return None if found is None else found[0]


def load_kernel() -> ctypes.PyDLL | None:
    """Return the compiled step for the best instruction set; None if there is none."""
    found = find_kernel()
    return None if found is None else found[1]


@cache
def find_kernel() -> tuple[InstructionSet, ctypes.PyDLL] | None:
    """Open the library of the best instruction set that processor and `CHARLM_MAX_CPU_ISA` allow.

    A `PyDLL` holds the interpreter's lock, so two threads never use one pool at the same time.

    Raises:
        ConfigError: `CHARLM_MAX_CPU_ISA` names an unknown instruction set.
    """
    try:
        baseline = open_library(LIBRARIES[InstructionSet.BASELINE])
        limit = min(baseline.charlm_instruction_set(), max_instruction_set())
    except (OSError, AttributeError):  # not compiled, or of another version
        return None
    for instruction_set, name in LIBRARIES.items():
        if instruction_set <= limit:
            try:
                return instruction_set, declare(open_library(name))
            except OSError:  # the compiler did not support the instruction set
                continue
    return None


def open_library(name: str) -> ctypes.PyDLL:
    """Open a library in the folder of this file."""
    return ctypes.PyDLL(str(Path(__file__).with_name(name)))


def declare(library: ctypes.PyDLL) -> ctypes.PyDLL:
    """Set the argument and result types of a library's functions and return the library."""
    library.charlm_open_pool.argtypes = [ctypes.c_int]
    library.charlm_open_pool.restype = Address
    library.charlm_close_pool.argtypes = [Address]
    library.charlm_close_pool.restype = None
    library.charlm_step.argtypes = [
        *(ctypes.POINTER(KernelModel), Address, ctypes.c_int),
        *(Address, Address, Address, Address),
    ]
    library.charlm_step.restype = ctypes.c_bool
    library.charlm_write.argtypes = [
        *(ctypes.POINTER(KernelModel), Address, ctypes.c_int, ctypes.c_int, Address),
        *(ctypes.c_float, Address, Address, Address, Address, Address, Address),
    ]
    library.charlm_write.restype = None
    return library
