"""Properties of a machine and its software that affect the last digits of a training step."""

import os
from collections.abc import Mapping

import torch

from charlm.device import processor_name
from charlm.kernels import lstm_speed
from charlm.reproducibility import products_are_reproducible
from charlm.settings import quote

LABELS = {
    "processor": "the processor",
    "num_threads": "the number of threads",
    "torch": "torch's version",
    "products": "how matrices are multiplied",
}
MODES = ("MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_MAX_CPU_ISA")


def describe_arithmetic(device: torch.device) -> dict[str, str | int]:
    """Return the properties that must be unchanged for a resumed run to continue bit for bit.

    The keys are those of `LABELS`. Different vector instructions add numbers in a different order;
    for some sums, a different number of threads does so too.
    """
    if device.type == "cuda":
        processor = torch.cuda.get_device_name(device)
    else:
        capability = torch.backends.cpu.get_cpu_capability()
        processor = f"{processor_name()} ({capability}, own kernel: {lstm_speed().name})"
    return {
        "processor": processor,
        "num_threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "products": describe_products(),
    }


def describe_products() -> str:
    """Return the environment variables of `MODES`, and a remark if MKL is not reproducible."""
    modes = [f"{name}={value}" for name in MODES if (value := os.environ.get(name))]
    if products_are_reproducible() is False:
        modes.append("not reproducible")
    return ", ".join(modes)


def arithmetic_notes(
    before: Mapping[str, str | int], now: Mapping[str, str | int]
) -> tuple[str, ...]:
    """Return a note if a run resumes with different arithmetic; otherwise nothing.

    Args:
        before: result of `describe_arithmetic` saved with the run; empty for a run of an older
            charlm, which did not save it.
        now: result of `describe_arithmetic` on this machine.
    """
    changed = [
        f"{label} changed from {quote(str(before[name]))} to {now[name]}"
        for name, label in LABELS.items()
        if name in before and before[name] != now[name]
    ]
    if not changed:
        return ()
    return (
        f"since this run was saved, {' and '.join(changed)}: it goes on, but may differ in the "
        "last digits from a run that was never stopped.",
    )
