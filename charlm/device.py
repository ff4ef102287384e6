"""Device, precision and seed, resolved once at the edge and passed in."""

import math
import os
import platform
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from charlm.errors import ConfigError

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["float32", "bfloat16"]

CPU_INFO = Path("/proc/cpuinfo")
MEMORY = Path("/proc/meminfo")
EMULATING_LIMITS = ("AVX512_CORE", "AVX512_CORE_VNNI")  # values of ONEDNN_MAX_CPU_ISA


def choose_device(name: DeviceName = "auto") -> torch.device:
    """The device of that name; `auto` is CUDA where there is one, else MPS, else the CPU.

    Raises:
        ConfigError: this machine has none of the kind asked for.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, here in available.items() if here))
    if name not in available:
        raise ConfigError(f"device must be one of {', '.join(get_args(DeviceName))}, not {name!r}.")
    if not available[name]:
        raise ConfigError(f"this machine has no {name} device; use --device cpu or leave it out.")
    return torch.device(name)


def bfloat16_support(device: torch.device) -> bool | None:
    """Return whether the device multiplies in bfloat16 itself; None where it does not say.

    Emulated, bfloat16 is far slower than float32: 2 times with AVX-512, 200 times with AVX2.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or platform.machine().lower() not in ("x86_64", "amd64"):
        return None
    if not CPU_INFO.exists():
        return onednn_uses_bfloat16()
    flags = set(CPU_INFO.read_text().split())
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16"}) and onednn_uses_bfloat16()


def processor_name() -> str:
    """Return the processor's model, or its architecture where the system does not say more."""
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.machine()


def onednn_uses_bfloat16() -> bool:
    """Return whether oneDNN, which multiplies in bfloat16 on x86, has instructions for it.

    Unlike the processor's flags, it knows of a limit that `ONEDNN_MAX_CPU_ISA` sets.
    """
    if os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in EMULATING_LIMITS:
        return False  # AVX-512, of which oneDNN says that it will do
    return torch.backends.mkldnn.is_available() and bool(
        torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def free_memory(device: torch.device) -> float:
    """Bytes that the device has free; infinity where it does not say."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return system_memory("MemAvailable") if device.type == "cpu" else math.inf


def total_memory(device: torch.device) -> float:
    """Return the bytes that the device has, swap included; infinity where it does not say."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[1])
    if device.type != "cpu":
        return math.inf
    return system_memory("MemTotal") + system_memory("SwapTotal")


def system_memory(name: str) -> float:
    """Return a figure of the system's memory in bytes; infinity where it does not say."""
    lines = MEMORY.read_text().splitlines() if MEMORY.exists() else []
    found = next((line for line in lines if line.startswith(f"{name}:")), None)
    return math.inf if found is None else 1024.0 * int(found.split()[1])


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Compute matrix products in `precision` inside the block."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def exact_float32(device: torch.device) -> AbstractContextManager[object]:
    """Compute in float32 in full inside the block; cuDNN would round products to TF32."""
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


class threads:
    """Have torch compute with so many threads inside the block."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> None:
        self._before = torch.get_num_threads()
        torch.set_num_threads(self._number)

    def __exit__(self, *exception: object) -> None:
        torch.set_num_threads(self._before)


class arithmetic:
    """Compute with small tensors inside the block: no gradients, one thread.

    To wake a second thread takes longer than to go through a few thousand numbers, many times as
    long where another pool of threads is waiting for work on the same cores.
    """

    def __enter__(self) -> None:
        self._inference, self._threads = torch.inference_mode(), threads(1)
        self._inference.__enter__()
        self._threads.__enter__()

    def __exit__(self, *exception: object) -> None:
        self._threads.__exit__(*exception)
        self._inference.__exit__(*exception)


def to_device(array: NDArray[np.int64], device: torch.device) -> Tensor:
    """The array as a tensor there; a GPU copies it while the program goes on."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given, so that time can be measured."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch, or Python, ran out of memory; most of torch says it only in words."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    said = ("DefaultCPUAllocator", "out of memory", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(words in str(error) for words in said)
