"""Compile the kernels in `charlm/kernels` when charlm is installed, if there is a C compiler.

Without one charlm installs all the same and writes and trains with torch: many times slower.
"""

import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLAGS = ["-O2", "-std=gnu11", "-ffp-contract=fast", "-Wno-psabi", "-fPIC", "-shared", "-pthread"]
# lstm.c has its threads from OpenMP, as torch does: on Linux torch's library is the one it finds.
# Without OpenMP it would have one thread, and torch's own kernels are the better choice.
# step.c is compiled once for each instruction set; `step_library.py` chooses when charlm runs.
KERNELS = {"step": ("step", []), "lstm": ("lstm", ["-fopenmp"])}  # library: source, flags
# They may use what `charlm_instruction_set` in step.c looks for and nothing else: a virtual machine
# can hide any of the others that processors of the same age have.
AVX2 = ["-mavx2", "-mfma", "-mbmi", "-mbmi2"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512cd", "-mavx512dq", "-mavx512vl"]
X86_KERNELS = {"step.avx2": ("step", AVX2), "step.avx512": ("step", AVX512)}


class CompileKernel(BuildHookInterface):  # type: ignore[type-arg]
    """A shared library beside the source, in wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and have the wheel carry the result and the name of this platform."""
        if self.target_name != "wheel":
            return
        kernels = dict(KERNELS)
        if platform.machine().lower() in ("x86_64", "amd64"):
            kernels |= X86_KERNELS
        for name, (source, flags) in kernels.items():
            if self._compile(name, source, flags):
                build_data["artifacts"].append(f"charlm/kernels/{name}.so")
                build_data["pure_python"] = False
                build_data["infer_tag"] = True

    def _compile(self, name: str, source: str, flags: list[str]) -> bool:
        folder = Path(self.root) / "charlm" / "kernels"
        library = folder / f"{name}.so"
        library.unlink(missing_ok=True)
        compiler = shlex.split(os.environ.get("CC", "cc"))
        command = [*compiler, *FLAGS, *flags, str(folder / f"{source}.c"), "-o", str(library)]
        try:
            subprocess.run(command, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{library.name} could not be compiled: {error}", file=sys.stderr)
            return False
        return True
