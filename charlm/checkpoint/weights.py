"""Reading and writing of safetensors files with a SHA-256 checksum of their content."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from charlm.errors import CheckpointError
from charlm.settings import quote, reason
from charlm.storage import replace_file
from charlm.untrusted import open_regular, parse_json

MAX_HEADER_BYTES = 16 << 20  # includes the text of a training state
MAX_TENSORS = 1 << 15  # each takes about a kilobyte of memory without its values
MAX_DIMENSIONS = 8
HEADER_VALUES = 7 + MAX_DIMENSIONS  # maximum number of JSON values per tensor
FIELDS = {"dtype", "shape", "data_offsets"}


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: str = "") -> None:
    """Write named tensors and a text to a file in one step.

    Equal content gives equal bytes.

    Raises:
        StorageError: the file cannot be written.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # A single metadata key, because safetensors writes several keys in an order that varies.
    content = {"charlm": f"{seal(plain, metadata)}\n{metadata}"}
    replace_file(path, save(plain, metadata=content))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the tensors and the text that `write_tensors` wrote, on the CPU.

    The tensors are copied to memory allocated by torch, which is aligned. Products of unaligned
    tensors could be rounded differently than before they were saved.

    Raises:
        CheckpointError: the file is missing or damaged, or was not written by charlm.
    """
    try:
        # The file is opened and read only once. If it were opened again or mapped, a save in
        # between could combine the header of one file with the tensors of another.
        with open_regular(path) as file:
            content = file.read(os.fstat(file.fileno()).st_size)
        metadata = read_header(content).get("charlm")
        views = load(content)
        del content
        tensors = {name: views.pop(name).clone() for name in sorted(views)}
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing; the checkpoint is not complete.") from None
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        why = reason(error)
        raise CheckpointError(f"{path} is damaged and cannot be read: {why}.") from error
    if metadata is None:
        raise CheckpointError(f"{path} was not written by charlm: it has no seal of its content.")
    found, _, text = metadata.partition("\n")
    if found != seal(tensors, text):
        raise CheckpointError(f"{path} is damaged: its content does not match its seal.")
    return tensors, text


def read_header(content: bytes) -> dict[str, str]:
    """Return the metadata in the header of a safetensors file, after limiting the header's size.

    Parsed names, numbers and unused fields take much more memory than their bytes in the file.

    Raises:
        ValueError: the header is too large or not a table of texts and tensors, has too many
            tensors, or describes one in another way than charlm.
    """
    length = int.from_bytes(content[:8], "little")
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"its header is larger than {MAX_HEADER_BYTES:,} bytes")
    header = parse_json(content[8 : 8 + length], HEADER_VALUES * (MAX_TENSORS + 1))
    if not isinstance(header, dict):
        raise ValueError("its header is no table")
    texts = header.pop("__metadata__", None) or {}
    if not isinstance(texts, dict) or not all(isinstance(each, str) for each in texts.values()):
        raise ValueError("its header holds something else than texts")
    if len(header) > MAX_TENSORS:
        raise ValueError(f"it has more than {MAX_TENSORS:,} tensors")
    for name, described in header.items():
        if not is_tensor(described):
            raise ValueError(f"{quote(name)} in its header is no tensor of charlm")
    return texts


def is_tensor(described: Any) -> bool:
    """Return whether a header entry has exactly the fields of a tensor, and few dimensions."""
    if not isinstance(described, dict) or described.keys() != FIELDS:
        return False
    shape = described["shape"]
    return isinstance(shape, list) and len(shape) <= MAX_DIMENSIONS


def seal(tensors: Mapping[str, Tensor], metadata: str) -> str:
    """Return the SHA-256 of names, types, shapes, values and the text, in hexadecimal."""
    digest = hashlib.sha256(metadata.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
