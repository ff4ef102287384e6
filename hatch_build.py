"""Compile `charlm/kernels/step.c` when charlm is installed, if there is a C compiler.

Without one charlm installs all the same and steps with torch when it writes: many times slower.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLAGS = ["-O2", "-std=gnu11", "-ffp-contract=fast", "-Wno-psabi", "-fPIC", "-shared", "-pthread"]


class CompileKernel(BuildHookInterface):  # type: ignore[type-arg]
    """A shared library beside the source, in wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and have the wheel carry the result and the name of this platform."""
        if self.target_name != "wheel":
            return
        source = Path(self.root) / "charlm" / "kernels" / "step.c"
        library = source.with_suffix(".so")
        library.unlink(missing_ok=True)
        compiler = shlex.split(os.environ.get("CC", "cc"))
        try:
            subprocess.run([*compiler, *FLAGS, str(source), "-o", str(library)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"charlm installs without its compiled step: {error}", file=sys.stderr)
            return
        build_data["artifacts"].append("charlm/kernels/step.so")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
