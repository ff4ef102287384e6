"""Reproducible matrix products, independent of the memory alignment of the operands.

By default Intel's MKL, which torch uses for products on x86, selects a kernel by the alignment of
each operand. Two runs of the same training then differ in the last digits, and a resumed run, whose
tensors have other addresses, differs from an uninterrupted one.

MKL reads `MKL_CBWR` only at its first product, so `import charlm` sets it. This module does not
import torch and imports little else, because the command handles Ctrl-C only after `import charlm`.
"""

import os
import sys

VARIABLE = "MKL_CBWR"

# AUTO uses the widest instructions of the processor. Measured on AMD processors with AVX-512 and
# with AVX2 only, training and generation are not slower than with MKL's default; there MKL treats
# AVX2, AVX512 and STRICT as AUTO. On Intel processors, AVX2 would not use AVX-512, and AVX512 would
# require it. COMPATIBLE (SSE2) reaches 0.4 of the speed. See `benchmarks/README.md`.
MODE = "AUTO"

LIBRARIES = ("libtorch_cpu.so", "libmkl_rt.so.2", "libmkl_rt.so.1", "libmkl_rt.so")
FUNCTIONS = ("mkl_serv_cbwr_get", "mkl_cbwr_get", "MKL_CBWR_Get")  # linked into torch, or shared
BRANCH = 1  # MKL_CBWR_BRANCH: the property to query
OFF = 1  # MKL_CBWR_BRANCH_OFF


def request_reproducible_products() -> None:
    """Set `MKL_CBWR` unless it is set; warn if torch used MKL before, so that it has no effect."""
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
    """Return whether MKL's products are reproducible; None if torch is not loaded or has no MKL.

    The query is made to MKL and counts as its first use: the mode cannot be changed afterwards.
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
