"""Device, precision, memory and threads."""

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
    """Return the device with a name; `auto` is the first available of CUDA, MPS and CPU.

    Raises:
        ConfigError: the name is unknown, or this machine has no such device.
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
    """Return whether the device supports bfloat16 products in hardware; None if unknown.

    Emulated bfloat16 is slower than float32: 2 times with AVX-512, 200 times with AVX2.
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
    """Return the processor's model name, or its architecture if the name is unknown."""
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.machine()


def onednn_uses_bfloat16() -> bool:
    """Return whether oneDNN, which computes bfloat16 products on x86, uses native instructions.

    Unlike the processor's flags, this takes `ONEDNN_MAX_CPU_ISA` into account.
    """
    if os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() in EMULATING_LIMITS:
        return False  # oneDNN reports AVX-512 as supported, but it only emulates
    return torch.backends.mkldnn.is_available() and bool(
        torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


def free_memory(device: torch.device) -> float:
    """Return the free memory of the device in bytes; infinity if unknown."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return system_memory("MemAvailable") if device.type == "cpu" else math.inf


def total_memory(device: torch.device) -> float:
    """Return the total memory of the device in bytes, including swap; infinity if unknown."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[1])
    if device.type != "cpu":
        return math.inf
    return system_memory("MemTotal") + system_memory("SwapTotal")


def system_memory(name: str) -> float:
    """Return an entry of /proc/meminfo, such as `MemTotal`, in bytes; infinity if missing."""
    lines = MEMORY.read_text().splitlines() if MEMORY.exists() else []
    found = next((line for line in lines if line.startswith(f"{name}:")), None)
    return math.inf if found is None else 1024.0 * int(found.split()[1])


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Return a context manager that computes matrix products in `precision`."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


def exact_float32(device: torch.device) -> AbstractContextManager[object]:
    """Return a context manager for full float32; by default cuDNN rounds products to TF32."""
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


class threads:
    """Context manager that sets the number of torch's CPU threads."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> None:
        self._before = torch.get_num_threads()
        torch.set_num_threads(self._number)

    def __exit__(self, *exception: object) -> None:
        torch.set_num_threads(self._before)


class arithmetic:
    """Context manager for computation on small tensors: inference mode, one thread.

    Waking a second thread takes longer than processing a few thousand numbers, and many times
    longer if another thread pool is waiting for work on the same cores.
    """

    def __enter__(self) -> None:
        self._inference, self._threads = torch.inference_mode(), threads(1)
        self._inference.__enter__()
        self._threads.__enter__()

    def __exit__(self, *exception: object) -> None:
        self._threads.__exit__(*exception)
        self._inference.__exit__(*exception)


def to_device(array: NDArray[np.int64], device: torch.device) -> Tensor:
    """Return the array as a tensor on the device; copies to a GPU are asynchronous."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished all work, so that time can be measured."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that torch or Python ran out of memory.

    Most torch errors can be recognized only by their message.
    """
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    said = ("DefaultCPUAllocator", "out of memory", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(words in str(error) for words in said)
