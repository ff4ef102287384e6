"""Ask the matrix library for products whose bits do not depend on where in memory operands lie.

Intel's MKL, which torch multiplies with on x86, picks a kernel by the alignment of each operand
unless it is told not to. Two runs of the same training then differ in the last digits, and a
resumed run, whose tensors lie elsewhere, differs from one that was never stopped.

MKL reads `MKL_CBWR` at its first product and never again, so `import charlm` sets it. Needs no
torch, and imports little: the command handles Ctrl-C only from the end of `import charlm` on.
"""

import os
import sys

VARIABLE = "MKL_CBWR"

# AUTO keeps the widest instructions that the processor has. Measured on AMD processors with AVX-512
# and with AVX2 alone: training and writing are no slower than with MKL's default. There MKL treats
# AVX2, AVX512 and STRICT as AUTO. On Intel processors AVX2 would do without AVX-512, and AVX512
# would require it. COMPATIBLE (SSE2) multiplies at 0.4 of the rate. `benchmarks/README.md` has the
# figures.
MODE = "AUTO"

LIBRARIES = ("libtorch_cpu.so", "libmkl_rt.so.2", "libmkl_rt.so.1", "libmkl_rt.so")
FUNCTIONS = ("mkl_serv_cbwr_get", "mkl_cbwr_get", "MKL_CBWR_Get")  # linked into torch, or shared
BRANCH = 1  # MKL_CBWR_BRANCH: which property to return
OFF = 1  # MKL_CBWR_BRANCH_OFF


def request_reproducible_products() -> None:
    """Set `MKL_CBWR` unless the user has; warn if torch multiplied before it could be read."""
    if VARIABLE in os.environ:
        return
    os.environ[VARIABLE] = MODE
    if "torch" in sys.modules and products_are_reproducible() is False:
        import warnings

        warnings.warn(
            "torch multiplied matrices before charlm was imported, so repeated or resumed training "
            f"may differ in the last digits; import charlm first, or set {VARIABLE}={MODE}.",
            stacklevel=3,
        )


def products_are_reproducible() -> bool | None:
    """Return MKL's own answer; None where torch is not loaded or does not multiply with MKL.

    Asking counts as the first use of MKL: the mode cannot be changed afterwards.
    """
    import ctypes
    from pathlib import Path

    torch_file = getattr(sys.modules.get("torch"), "__file__", None)
    if torch_file is None:
        return None
    folder = Path(torch_file).parent / "lib"
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(str(folder / name) if (folder / name).exists() else name)
        except OSError:
            continue
        for function in FUNCTIONS:
            if hasattr(library, function):
                return bool(getattr(library, function)(BRANCH) != OFF)
    return None
