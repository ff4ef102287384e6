"""The processor's instruction sets for which there are kernels, and a limit on them for tests."""

import os
import platform
from enum import IntEnum

from charlm.errors import ConfigError

VARIABLE = "CHARLM_MAX_CPU_ISA"


class InstructionSet(IntEnum):
    """Instruction sets in rising order; each includes those below it."""

    BASELINE = 0  # what every processor of the architecture has: SSE2, NEON
    AVX2 = 1  # and FMA
    AVX512 = 2
    AVX512_BF16 = 3
    AMX = 4  # bfloat16 tiles

    @property
    def title(self) -> str:
        """The name that its makers give it."""
        if self is InstructionSet.BASELINE:
            return f"plain {platform.machine()}"
        return self.name.replace("AVX512", "AVX-512").replace("_", " ")


def max_instruction_set() -> InstructionSet:
    """Return the limit set by `CHARLM_MAX_CPU_ISA`, by name; AMX, which is no limit, by default.

    It shows on one processor how charlm computes on another, as `ONEDNN_MAX_CPU_ISA` does for
    oneDNN. It is read when kernels are loaded.

    Raises:
        ConfigError: there is no such instruction set.
    """
    name = os.environ.get(VARIABLE) or InstructionSet.AMX.name
    if name not in InstructionSet.__members__:
        known = ", ".join(InstructionSet.__members__)
        raise ConfigError(f"{VARIABLE} must be one of {known}, not {name!r}.")
    return InstructionSet[name]
