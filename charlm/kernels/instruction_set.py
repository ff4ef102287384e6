"""Instruction sets for which there are kernels, and a limit on them for tests."""

import os
import platform
from enum import IntEnum

from charlm.errors import ConfigError

VARIABLE = "CHARLM_MAX_CPU_ISA"


class InstructionSet(IntEnum):
    """Instruction sets in ascending order; each includes those below it."""

    BASELINE = 0  # present on every processor of the architecture: SSE2, NEON
    AVX2 = 1  # and FMA
    AVX512 = 2
    AVX512_BF16 = 3
    AMX = 4  # bfloat16 tiles

    @property
    def title(self) -> str:
        """Usual name, such as "AVX-512"."""
        if self is InstructionSet.BASELINE:
            return f"plain {platform.machine()}"
        return self.name.replace("AVX512", "AVX-512").replace("_", " ")


def max_instruction_set() -> InstructionSet:
    """Return the limit named by `CHARLM_MAX_CPU_ISA` (default: AMX, which is no limit).

    The limit makes charlm compute on one processor as on another, like `ONEDNN_MAX_CPU_ISA` for
    oneDNN. It is read when kernels are loaded.

    Raises:
        ConfigError: the variable names an unknown instruction set.
    """
    name = os.environ.get(VARIABLE) or InstructionSet.AMX.name
    if name not in InstructionSet.__members__:
        known = ", ".join(InstructionSet.__members__)
        raise ConfigError(f"{VARIABLE} must be one of {known}, not {name!r}.")
    return InstructionSet[name]
