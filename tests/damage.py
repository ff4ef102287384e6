"""Files damaged or swollen, as a failing disk or a stranger could leave them.

print(damage_file(path, Random(7)))     # any file; seals and checksums stay as they are
print(damage_text(path, Random(7)))     # a text that charlm reads
for swell in SWELLINGS:
    swell(folder)                       # a checkpoint with a file that takes memory to read
"""

import gzip
import json
import os
import socket
import struct
from pathlib import Path
from random import Random

from mutation import write_config, write_tokenizer

from charlm.checkpoint.weights import read_tensors, write_tensors
from charlm.location import CONFIG, HELDOUT, METRICS, RECIPE, STATE, TOKENIZER, WEIGHTS

PIECES = {
    "bad UTF-8": b"\xff\xfe",
    "NUL": b"\0",
    "escape": b"\x1b]0;title\x07\x1b[31m",
    "long line": b"x" * 200_000,
    "nesting": b"[" * 10_000,
    "numbers": b"1e999 -inf nan 99999999999999999999",
    "separators": b"\t\t\n\r\r\n\t\xe2\x80\xa8",
    "braces": b'{"label": [1], "text": null}\n',
}
INSTEAD = ("named pipe", "folder", "device", "socket", "link to nothing", "link in a circle")


def files_in(folder: Path) -> list[Path]:
    """The regular files in a folder and those below it, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def damage_file(path: Path, random: Random) -> str:
    """Change bytes of a file, or put something else in its place; say what was done."""
    if random.random() < 0.2:
        return replace_by(path, random.choice(INSTEAD))
    return damage_bytes(path, random, ["flip", "flip", "cut", "empty", "zeros", "longer"])


def damage_text(path: Path, random: Random) -> str:
    """Change a text in one of many ways; say in which."""
    return damage_bytes(path, random, ["flip", "cut", "empty", "twice", *PIECES])


def damage_bytes(path: Path, random: Random, ways: list[str]) -> str:
    """Change a file's bytes in one of some ways."""
    content = bytearray(path.read_bytes())
    at = random.randrange(len(content) or 1)
    how = random.choice(ways) if content else "longer"
    match how:
        case "flip":
            content[at] ^= 1 << random.randrange(8)
        case "cut":
            del content[at:]
        case "empty":
            content.clear()
        case "zeros":
            content[at : at + 64] = bytes(len(content[at : at + 64]))
        case "longer":
            content += bytes(64)
        case "twice":
            content[at:at] = content
        case _:
            content[at:at] = PIECES[how]
    path.write_bytes(content)
    return f"{how} at {at}"


def replace_by(path: Path, kind: str) -> str:
    """Put what is no regular file in the place of one."""
    path.unlink()
    match kind:
        case "named pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(os.path.relpath(path))
        case "link to nothing":
            path.symlink_to("nothing")
        case _:
            path.symlink_to(path.name)
    return f"a {kind} in its place"


def many_tiny_reports(folder: Path) -> None:
    """metrics.jsonl: millions of lines."""
    (folder / METRICS).write_bytes(b'{"step":1}\n' * 5_800_000)


def one_huge_report(folder: Path) -> None:
    """metrics.jsonl: a line of millions of lists."""
    (folder / METRICS).write_bytes(b'{"step":1,"x":[' + b"[]," * 20_000_000 + b"1]}\n")


def a_huge_vocabulary(folder: Path) -> None:
    """tokenizer.json: millions of tokens."""
    content = json.loads((folder / TOKENIZER).read_bytes())
    vocabulary = content["model"]["vocab"]
    vocabulary.update((f"{number:x}", number) for number in range(len(vocabulary), 7_000_000))
    write_tokenizer(folder / TOKENIZER, json.dumps(content, separators=(",", ":")).encode())


def a_tokenizer_of_lists(folder: Path) -> None:
    """tokenizer.json: tens of millions of lists."""
    content = b'{"model":[' + b"[]," * 42_000_000 + b"1]}"
    write_tokenizer(folder / TOKENIZER, content)


def a_config_of_lists(folder: Path) -> None:
    """config.json: as many lists as it may have, under its seal."""
    content = json.loads((folder / CONFIG).read_bytes())
    write_config(folder / CONFIG, {**content, "labels": [[]] * 1_900_000})


def a_recipe_of_lists(folder: Path) -> None:
    """recipe.toml: as many lists as it may have."""
    (folder / RECIPE).write_bytes(b"paths = [" + b"[]," * 330_000 + b"]\n")


def a_huge_header(folder: Path) -> None:
    """model.safetensors: 90 MB of header."""
    entries = ",".join(
        f'"{number:x}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
        for number in range(1_500_000)
    )
    header = f"{{{entries}}}".encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(header)) + header)


def a_state_of_lists(folder: Path) -> None:
    """state/training.safetensors: a description of tens of millions of lists, under its seal."""
    if (folder / STATE).exists():
        tensors, text = read_tensors(folder / STATE)
        lists = f'{{"x":[{"[]," * 20_000_000}1],'
        write_tensors(folder / STATE, tensors, lists + text.removeprefix("{"))


def texts_that_unpack(folder: Path) -> None:
    """heldout/: a gigabyte of zeros each."""
    for path in files_in(folder / HELDOUT):
        with gzip.open(path, "wb", compresslevel=9) as file:
            for _ in range(1024):
                file.write(bytes(1 << 20))


SWELLINGS = (
    many_tiny_reports,
    one_huge_report,
    a_huge_vocabulary,
    a_tokenizer_of_lists,
    a_config_of_lists,
    a_recipe_of_lists,
    a_huge_header,
    a_state_of_lists,
    texts_that_unpack,
)
