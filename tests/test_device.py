import pytest
import torch

from charlm import device
from charlm.device import (
    autocast,
    bfloat16_support,
    choose_device,
    exact_float32,
    is_out_of_memory,
    processor_name,
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


@pytest.fixture
def processor(tmp_path, monkeypatch):
    """Make this processor one of another kind: `processor("x86_64", flags, onednn=True)`."""

    def processor(machine, flags, onednn=True):
        (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
        monkeypatch.setattr(device, "CPU_INFO", tmp_path / "cpuinfo")
        monkeypatch.setattr(device.platform, "machine", lambda: machine)
        monkeypatch.setattr(device.torch.backends.mkldnn, "is_available", lambda: onednn)
        monkeypatch.setattr(device.torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn)
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)

    return processor


@pytest.mark.parametrize(
    ("machine", "flags", "onednn", "expected"),
    [
        ("x86_64", "fpu avx512_bf16", True, True),
        ("x86_64", "amx_bf16", True, True),
        ("x86_64", "avx512f avx2", True, False),
        ("x86_64", "avx512_bf16", False, False),
        ("aarch64", "bf16", True, None),
    ],
)
def test_bfloat16_is_supported_where_processor_and_onednn_have_it(
    processor, machine, flags, onednn, expected
):
    processor(machine, flags, onednn)

    assert bfloat16_support(torch.device("cpu")) is expected


@pytest.mark.parametrize(("limit", "expected"), [("AVX512_CORE", False), ("AVX512_CORE_AMX", True)])
def test_a_limit_below_bfloat16_is_known_although_onednn_would_emulate_it(
    processor, monkeypatch, limit, expected
):
    processor("x86_64", "avx512_bf16")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)

    assert bfloat16_support(torch.device("cpu")) is expected


def test_the_processor_is_named_by_its_model_or_its_architecture(processor, monkeypatch, tmp_path):
    processor("x86_64", "fpu\nmodel name\t: AMD EPYC : 7")
    named = processor_name()
    monkeypatch.setattr(device, "CPU_INFO", tmp_path / "missing")

    assert (named, processor_name()) == ("AMD EPYC : 7", "x86_64")


@pytest.mark.parametrize("machine", ["x86_64", "arm64"])
def test_without_a_list_of_flags_onednn_is_asked_on_x86(processor, monkeypatch, tmp_path, machine):
    processor(machine, "")
    monkeypatch.setattr(device, "CPU_INFO", tmp_path / "missing")

    assert bfloat16_support(torch.device("cpu")) is (True if machine == "x86_64" else None)


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
