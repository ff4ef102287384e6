import io
import json
import os

import pytest
import safetensors.torch
import torch

from charlm.checkpoint.weights import MAX_DIMENSIONS, MAX_TENSORS, read_tensors, write_tensors
from charlm.errors import CheckpointError

TENSORS = {
    "b": torch.arange(6.0).view(2, 3),
    "a": torch.tensor(3),
    "half": torch.ones(2, dtype=torch.bfloat16),
    "empty": torch.zeros(0, 4),
}


def test_tensors_and_text_come_back_as_they_were(tmp_path):
    write_tensors(tmp_path / "t", TENSORS, '{"step": 1}\nsecond line')

    tensors, text = read_tensors(tmp_path / "t")

    assert text == '{"step": 1}\nsecond line'
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_tensors_are_aligned_however_they_lie_in_the_file(tmp_path):
    sizes = {str(size): torch.ones(size) for size in (1, 3, 7, 64, 1000)}
    write_tensors(tmp_path / "t", sizes, "x" * 5)

    tensors, _ = read_tensors(tmp_path / "t")

    assert all(tensor.data_ptr() % 64 == 0 for tensor in tensors.values())


def test_equal_content_gives_equal_bytes(tmp_path):
    write_tensors(tmp_path / "1", TENSORS, "text")
    write_tensors(tmp_path / "2", dict(reversed(TENSORS.items())), "text")

    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_any_flipped_bit_is_found(tmp_path):
    path = tmp_path / "t"
    write_tensors(path, TENSORS, "text")
    content = path.read_bytes()

    for position in range(len(content)):
        flipped = content[position] ^ 0x10
        if content[position : position + 1].isspace():
            continue  # padding of the header
        path.write_bytes(content[:position] + bytes([flipped]) + content[position + 1 :])
        with pytest.raises(CheckpointError):
            read_tensors(path)


@pytest.mark.parametrize("length", [0, 4, 8, 100, -1])
def test_a_truncated_file_is_one_clear_line(tmp_path, length):
    path = tmp_path / "t"
    write_tensors(path, TENSORS)
    path.write_bytes(path.read_bytes()[:length])

    with pytest.raises(CheckpointError, match="damaged"):
        read_tensors(path)


def test_a_file_of_another_program_is_refused(tmp_path):
    safetensors.torch.save_file({"a": torch.ones(1)}, tmp_path / "t")

    with pytest.raises(CheckpointError, match="not written by charlm"):
        read_tensors(tmp_path / "t")


def test_a_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(CheckpointError, match="missing"):
        read_tensors(tmp_path / "t")


def test_a_header_that_claims_terabytes_allocates_nothing(tmp_path):
    header = b'{"a":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}'
    (tmp_path / "t").write_bytes(len(header).to_bytes(8, "little") + header)

    with pytest.raises(CheckpointError, match="damaged"):
        read_tensors(tmp_path / "t")


@pytest.mark.parametrize("limit", ["MAX_TENSORS", "MAX_HEADER_BYTES"])
def test_a_header_that_takes_memory_to_parse_is_refused_before(tmp_path, monkeypatch, limit):
    write_tensors(tmp_path / "x", {"a": torch.zeros(1), "b": torch.zeros(1)}, '"dtype"' * 9)
    length = int.from_bytes((tmp_path / "x").read_bytes()[:8], "little")
    fits = {"MAX_TENSORS": 2, "MAX_HEADER_BYTES": length}[limit]
    monkeypatch.setattr(f"charlm.checkpoint.weights.{limit}", fits)
    assert read_tensors(tmp_path / "x")[0].keys() == {"a", "b"}

    monkeypatch.setattr(f"charlm.checkpoint.weights.{limit}", fits - 1)
    monkeypatch.delattr("charlm.checkpoint.weights.load")
    with pytest.raises(CheckpointError, match=f"{fits - 1:,} (tensors|bytes)"):
        read_tensors(tmp_path / "x")


PLAIN = '{"dtype":"U8","shape":[0],"data_offsets":[0,0]}'
HEADERS = {
    "a field that nobody reads": '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":[]}}',
    "many values": '{"a":{"x":[' + "{}," * 500_000 + "{}]}}",
    "many tensors": "{" + ",".join(f'"{n}":{PLAIN}' for n in range(MAX_TENSORS + 1)) + "}",
    "many tensors, their fields escaped": "{"
    + ",".join(f'"{n}":{PLAIN}'.replace("d", "\\u0064") for n in range(MAX_TENSORS + 1))
    + "}",
    "many dimensions": PLAIN.join(['{"a":', "}"]).replace("[0]", f"[{'1,' * 8}0]"),
    "a list": "[]",
    "a list for a tensor": '{"a":[]}',
    "a shape that is no list": PLAIN.join(['{"a":', "}"]).replace("[0]", "0"),
    "a number for a text": '{"__metadata__":{"charlm":1}}',
    "too deep": '{"a":' + "[" * 1000 + "]" * 1000 + "}",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_a_header_that_charlm_does_not_write_never_reaches_the_library(
    tmp_path, monkeypatch, header
):
    monkeypatch.delattr("charlm.checkpoint.weights.load")
    (tmp_path / "t").write_bytes(len(header).to_bytes(8, "little") + header.encode())

    with pytest.raises(CheckpointError, match="damaged and cannot be read"):
        read_tensors(tmp_path / "t")


def test_the_most_tensors_and_dimensions_are_read(tmp_path):
    shape = (1,) * MAX_DIMENSIONS
    tensors = {str(number): torch.zeros(shape, dtype=torch.uint8) for number in range(MAX_TENSORS)}
    write_tensors(tmp_path / "t", tensors)

    assert read_tensors(tmp_path / "t")[0].keys() == tensors.keys()


def test_a_size_beyond_64_bits_is_one_clear_line(tmp_path):
    """torch says so in an error of another type, with a trace of many lines."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [0, 2**63], "data_offsets": [0, 0]}})
    header = json.dumps({"__metadata__": {"charlm": "\n"}, **json.loads(header)}).encode()
    (tmp_path / "t").write_bytes(len(header).to_bytes(8, "little") + header)

    with pytest.raises(CheckpointError, match="damaged") as error:
        read_tensors(tmp_path / "t")

    assert "\n" not in str(error.value) and len(str(error.value)) < 300


def test_a_save_while_a_file_is_read_gives_one_save_or_the_other(tmp_path, monkeypatch):
    """However often the file is opened, another save has replaced it by then."""
    path = tmp_path / "t"
    saves = [{"w": torch.full((50 + n,), float(n))} for n in range(4)]
    write_tensors(path, saves[0], "save 0")
    coming, opened = iter(range(1, 4)), []

    def opening(original):
        def open_after_save(name, *arguments, **settings):
            if str(name) == str(path):
                if opened:
                    number = next(coming)
                    write_tensors(path, saves[number], f"save {number}")
                opened.append(name)
            return original(name, *arguments, **settings)

        return open_after_save

    for module in (io, os):
        monkeypatch.setattr(module, "open", opening(module.open))
    monkeypatch.setattr(torch.UntypedStorage, "from_file", opening(torch.UntypedStorage.from_file))

    opened.append("by something that cannot be watched")  # the first watched one comes after a save
    tensors, text = read_tensors(path)

    number = int(text.removeprefix("save "))
    assert torch.equal(tensors["w"], saves[number]["w"])
