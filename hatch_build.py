"""Compile the kernels in `charlm/kernels` when charlm is installed, if there is a C compiler.

Without one, charlm still installs; it generates and trains with torch, many times slower.
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
# lstm.c uses the threads of OpenMP, as torch does; on Linux it finds torch's OpenMP library.
# Without OpenMP it would have one thread, and torch's own kernels would be the better choice.
# step.c is compiled once for each instruction set; `step_library.py` chooses when charlm runs.
KERNELS = {"step": ("step", []), "lstm": ("lstm", ["-fopenmp"])}  # library: source, flags
# These flags must enable only what `charlm_instruction_set` in step.c checks: a virtual machine can
# hide any other instructions of the processor.
AVX2 = ["-mavx2", "-mfma", "-mbmi", "-mbmi2"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512cd", "-mavx512dq", "-mavx512vl"]
X86_KERNELS = {"step.avx2": ("step", AVX2), "step.avx512": ("step", AVX512)}


class CompileKernel(BuildHookInterface):  # type: ignore[type-arg]
    """Build hook that adds the compiled kernels to wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the kernels, and add them and the tag of this platform to the wheel."""
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
