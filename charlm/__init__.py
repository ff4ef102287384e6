"""Recurrent language models trained on your own text, in minutes.

import charlm

lm = charlm.load("checkpoints/tales")
print(lm.generate("Once upon a time", temperature=0.8, seed=1))
"""

from charlm.reproducibility import request_reproducible_products
from charlm.version import __version__

request_reproducible_products()  # before the first matrix product of torch

__all__ = ["LoadedModel", "__version__", "load"]

TYPE_CHECKING = False  # `typing` is not imported: Ctrl-C is handled only after this module
if TYPE_CHECKING:
    from typing import Any

    from charlm.api import LoadedModel, load


def __getattr__(name: str) -> "Any":
    """Import the API on first use, because it imports torch, which would slow `charlm --help`."""
    if name in ("LoadedModel", "load"):
        from charlm import api

        return getattr(api, name)
    raise AttributeError(f"module 'charlm' has no attribute {name!r}")
