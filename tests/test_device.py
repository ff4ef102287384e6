import pytest
import torch

from charlm import device
from charlm.device import (
    autocast,
    choose_device,
    exact_float32,
    has_bfloat16,
    is_out_of_memory,
)
from charlm.errors import ConfigError


def test_a_missing_device_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    with pytest.raises(ConfigError, match="no cuda device; use --device cpu"):
        choose_device("cuda")


def test_auto_prefers_cuda_and_falls_back_to_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with_gpu = choose_device("auto")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    assert (with_gpu.type, choose_device("auto").type) == ("cuda", "cpu")


@pytest.mark.parametrize(
    ("flags", "has"), [("fpu avx512_bf16", True), ("amx_bf16", True), ("avx512f avx2", False)]
)
def test_bfloat16_is_used_where_the_processor_has_it(tmp_path, monkeypatch, flags, has):
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    monkeypatch.setattr(device, "CPU_FLAGS", tmp_path / "cpuinfo")

    assert has_bfloat16(torch.device("cpu")) is has


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_autocast_computes_products_in_the_precision_asked_for(precision, dtype):
    with autocast(torch.device("cpu"), precision):
        product = torch.ones(2, 2) @ torch.ones(2, 2)

    assert product.dtype == dtype


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_exact_float32_leaves_the_settings_as_they_were(device):
    before = torch.backends.cudnn.allow_tf32

    with exact_float32(torch.device(device)):
        inside = torch.backends.cudnn.allow_tf32

    assert inside == (before and device == "cpu")
    assert torch.backends.cudnn.allow_tf32 == before


def test_running_out_of_memory_is_told_from_other_errors():
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**55, dtype=torch.uint8)

    assert is_out_of_memory(error.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
