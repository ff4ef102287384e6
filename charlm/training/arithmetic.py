"""What the last digits of a training step depend on, besides settings, data and seed."""

from collections.abc import Mapping

import torch

from charlm.device import processor_name
from charlm.kernels import lstm_speed
from charlm.settings import quote

LABELS = {
    "processor": "the processor",
    "num_threads": "the number of threads",
    "torch": "torch's version",
}


def describe_arithmetic(device: torch.device) -> dict[str, str | int]:
    """Return what a resumed run must find as it was, to continue bit for bit.

    Sums are taken in another order by other vector instructions, and some of them by another number
    of threads.
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
    }


def arithmetic_notes(
    before: Mapping[str, str | int], now: Mapping[str, str | int]
) -> tuple[str, ...]:
    """Return a note if a run resumes with another arithmetic than it was saved with.

    Args:
        before: as saved; empty for a run of an older charlm, of which nothing is known.
        now: here.
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
