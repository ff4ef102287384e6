"""Checkpoints changed at random behind their seals, as a stranger could hand them over.

`mutate_checkpoint(folder, random)` changes one thing in one file of a checkpoint, brings the
checksums that belong to it up to date, and says what it did. The same seed makes the same change.

    random = Random(7)
    shutil.copytree(original, folder)
    print(mutate_checkpoint(folder, random))
"""

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from charlm.checkpoint.config_file import seal
from charlm.checkpoint.weights import read_tensors, write_tensors
from charlm.location import (
    ADAPTATION,
    BACKWARD,
    CONFIG,
    FREQUENCIES,
    GRADIENTS,
    HELDOUT,
    LEVEL_STATE,
    METRICS,
    RECIPE,
    STATE,
    TOKENIZER,
    WEIGHTS,
)

JUNK = [
    *(None, True, False, 0, -1, 1, 2, 3, 7, 10**9, 2**31, 2**60, 2**62, 2**63, -(2**63), 10**30),
    *(10**400, 0.5, -0.5, 1.0, 1e-300, 1e308, float("nan"), float("inf"), -float("inf")),
    *(
        "",
        "x",
        "0",
        "é" * 3,
        "line\nbreak",
        "\x1b[31mred",
        "\ud800",
        ":smile:",
        "[red]",
        "a" * 5000,
    ),
    *([], [None], ["a", "a"], [1] * 300, [[]], ["x"], [1, 2], {}, {"a": 1}, {"a": {"b": [1]}}),
]
FRAMES = HELDOUT / "test.frames.gz"
KINDS = [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int8, torch.bool]
SPECIAL = ("nan", "inf", "-inf", "1e30", "-1e38", "1e-40")


def mutate_checkpoint(folder: Path, random: Random) -> str:
    """Change one thing in a checkpoint, its seals kept right.

    Args:
        folder: the checkpoint; changed in place.
        random: decides.

    Returns:
        What was changed, such as `config.json: model.num_layers = 1000000000`.
    """
    half = folder / BACKWARD
    if half.exists() and random.random() < 0.3:
        return f"{BACKWARD}/{mutate_checkpoint(half, random)}"
    mutations: dict[Path, Callable[[Path, Random], str]] = {
        CONFIG: mutate_config,
        TOKENIZER: mutate_tokenizer,
        WEIGHTS: mutate_tensors,
        STATE: mutate_state,
        LEVEL_STATE: mutate_state,
        FRAMES: mutate_frames,
        METRICS: mutate_lines,
        FREQUENCIES: mutate_tensors,
        GRADIENTS: mutate_tensors,
        ADAPTATION: mutate_adaptation,
        RECIPE: mutate_recipe,
    }
    present = [name for name in mutations if (folder / name).exists()]
    # config.json, the tokenizer and the tensors have the most that can be wrong.
    name = random.choice([*present, CONFIG, CONFIG, TOKENIZER, TOKENIZER, WEIGHTS, STATE])
    if not (folder / name).exists():
        name = CONFIG
    return f"{name}: {mutations[name](folder / name, random)}"


def mutate_config(path: Path, random: Random) -> str:
    """Change a setting of config.json and seal it again."""
    content = json.loads(path.read_text(encoding="utf-8"))
    what = mutate_json(content, random)
    write_config(path, content)
    return what


def mutate_tokenizer(path: Path, random: Random) -> str:
    """Change tokenizer.json and have config.json name the changed one."""
    content = json.loads(path.read_text(encoding="utf-8"))
    vocab = content["model"]["vocab"]
    symbol = random.choice(list(vocab))
    match random.randrange(8):
        case 0:
            what, vocab[symbol] = "a huge id", 10**9
        case 1:
            what, vocab[symbol] = "an id that is taken", random.choice(list(vocab.values()))
        case 2:
            what = "an id that is no number"
            vocab[symbol] = random.choice(JUNK)
        case 3:
            what = "padding"
            content["padding"] = {
                "strategy": {"Fixed": 2**60},
                "direction": "Right",
                "pad_to_multiple_of": random.choice([None, 2**60]),
                "pad_id": 0,
                "pad_type_id": 0,
                "pad_token": symbol,
            }
        case 4:
            what = "truncation"
            content["truncation"] = {
                "direction": "Right",
                "max_length": random.choice([0, 2**60]),
                "strategy": "LongestFirst",
                "stride": random.choice([0, 2**60]),
            }
        case 5:
            what = "bytes that are no text"
            write_tokenizer(path, b"\xff" + path.read_bytes())
            return what
        case _:
            what = mutate_json(content, random)
    write_tokenizer(path, dumped(content))
    return what


def mutate_tensors(path: Path, random: Random) -> str:
    """Change a tensor of a file and seal it again."""
    tensors, text = read_tensors(path)
    what = change_tensors(tensors, random)
    write_tensors(path, tensors, text)
    return what


def mutate_state(path: Path, random: Random) -> str:
    """Change a tensor or a setting of a training state and seal it again."""
    tensors, text = read_tensors(path)
    if random.random() < 0.5:
        what = change_tensors(tensors, random)
    elif random.random() < 0.1:
        what, text = "half its text", text[: len(text) // 2]
    else:
        content = json.loads(text)
        what = mutate_json(content, random)
        text = json.dumps(content)
    write_tensors(path, tensors, text)
    return what


def mutate_lines(path: Path, random: Random) -> str:
    """Change a report of metrics.jsonl."""
    lines = path.read_text(encoding="utf-8").splitlines()
    number = random.randrange(len(lines))
    content = json.loads(lines[number])
    what = mutate_json(content, random)
    lines[number] = json.dumps(content)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"line {number + 1}: {what}"


def mutate_frames(path: Path, random: Random) -> str:
    """Change how the test text is cut into pieces, and its checksum in config.json."""
    with gzip.open(path) as file:
        rows = np.frombuffer(file.read(), "<u4").copy()
    at, value = random.randrange(len(rows)), random.choice([0, 1, 2, 3, 7, 2**31, 2**32 - 1])
    rows[at] = value
    with gzip.open(path, "wb") as file:
        file.write(rows.tobytes())
    config = json.loads((path.parents[1] / CONFIG).read_text(encoding="utf-8"))
    config["heldout"]["test"]["frames_sha256"] = hashlib.sha256(rows.tobytes()).hexdigest()
    write_config(path.parents[1] / CONFIG, config)
    return f"number {at} = {value}"


def mutate_adaptation(path: Path, random: Random) -> str:
    """Change what was tuned, for the weights as they are."""
    content = json.loads(path.read_text(encoding="utf-8"))
    what = mutate_json(content["settings"], random)
    path.write_bytes(dumped(content))
    return what


def mutate_recipe(path: Path, random: Random) -> str:
    """Put another value after a name of recipe.toml."""
    lines = path.read_text(encoding="utf-8").splitlines()
    named = [number for number, line in enumerate(lines) if " = " in line]
    number = random.choice(named)
    name, _, _ = lines[number].partition(" = ")
    value = random.choice(["nan", "inf", "9" * 30, "-1", "true", '""', "[]", "{}", "[[1]]", "'x'"])
    lines[number] = f"{name} = {value}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return lines[number]


def mutate_json(content: dict[str, Any], random: Random) -> str:
    """Replace, remove or add a value somewhere in a JSON object; the object itself stays."""
    place, parent = [], content
    while True:
        key = random.choice(list(parent) if isinstance(parent, dict) else range(len(parent)))
        place.append(str(key))
        below = parent[key]
        if not (isinstance(below, (dict, list)) and below) or random.random() < 0.2:
            break
        parent = below
    where, chance = ".".join(place), random.random()
    if chance < 0.15:
        del parent[key]
        return f"{where} removed"
    if chance < 0.25 and isinstance(parent, dict):
        name = random.choice(["extra", "x" * 3000, "\x1b[31m", ""])
        parent[name] = random.choice(JUNK)
        return f"{where} with {name[:20]!r} beside it"
    value = random.choice(JUNK)
    if chance < 0.45 and type(below) in (int, float):
        value = random.choice([below + 1, below - 1, -below, below * 1000, 10**9])
    parent[key] = value
    return f"{where} = {repr(value)[:60]}"


def change_tensors(tensors: dict[str, Tensor], random: Random) -> str:
    """Change one tensor of some."""
    name = random.choice(sorted(tensors))
    tensor = tensors[name]
    match random.randrange(8):
        case 0:
            del tensors[name]
            return f"{name} removed"
        case 1:
            other = random.choice([f"{name}.x", "x" * 3000, "\x1b[31m", "", "optimizer.x.y.z"])
            tensors[other] = tensors.pop(name)
            return f"{name} called {other[:20]!r}"
        case 2:
            tensors[f"{name}2"] = tensor.clone()
            return f"{name} twice"
        case 3:
            shape = random.choice([(0,), (1,), (*tensor.shape, 1), tuple(reversed(tensor.shape))])
            tensors[name] = tensor.new_zeros(shape)
            return f"{name} of shape {shape}"
        case 4:
            kind = random.choice([kind for kind in KINDS if kind != tensor.dtype])
            tensors[name] = tensor.to(kind)
            return f"{name} as {kind}"
        case 5:
            tensors[name] = torch.zeros_like(tensor)
            return f"{name} zeroed"
        case _:
            if not tensor.is_floating_point() or not tensor.numel():
                tensors[name] = tensor - 100 if tensor.dtype != torch.bool else ~tensor
                return f"{name} less 100"
            value = random.choice(SPECIAL)
            changed = tensor.clone()
            if random.random() < 0.5:
                changed.fill_(float(value))
            else:
                changed.view(-1)[random.randrange(tensor.numel())] = float(value)
            tensors[name] = changed
            return f"{name} with {value}"


def write_config(path: Path, content: dict[str, Any]) -> None:
    """Write config.json with the seal of its content."""
    content.pop("sha256", None)
    path.write_bytes(dumped({**content, "sha256": seal(content)}))


def write_tokenizer(path: Path, content: bytes) -> None:
    """Write tokenizer.json, and its checksum into config.json."""
    path.write_bytes(content)
    config = json.loads((path.parent / CONFIG).read_text(encoding="utf-8"))
    config["tokenizer_sha256"] = hashlib.sha256(content).hexdigest()
    write_config(path.parent / CONFIG, config)


def dumped(content: dict[str, Any]) -> bytes:
    """JSON in ASCII, which can write whatever Python can hold."""
    return json.dumps(content).encode()
