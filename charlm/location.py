"""Names of checkpoints and of the files in them. Does not import torch."""

import os
import shlex
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from charlm.errors import CheckpointError

CHECKPOINTS = Path("checkpoints")
CONFIG = Path("config.json")
WEIGHTS = Path("model.safetensors")
TOKENIZER = Path("tokenizer.json")
RECIPE = Path("recipe.toml")
METRICS = Path("metrics.jsonl")
CARD = Path("README.md")
STATE = Path("state/training.safetensors")
LEVEL_STATE = Path("state/level.safetensors")  # start of a longer run: extension.py
ADAPTATION = Path("adaptation.json")
BACKWARD = Path("backward")  # a checkpoint within a checkpoint
FREQUENCIES = Path("frequencies.safetensors")
GRADIENTS = Path("gradients.safetensors")
HELDOUT = Path("heldout")
EVENTS = Path("tensorboard")  # folder written by `charlm train --tensorboard`
FILES = (  # all other files that charlm writes into a checkpoint; add new ones here
    *(CONFIG, WEIGHTS, TOKENIZER, RECIPE, METRICS, CARD, STATE, LEVEL_STATE),
    *(ADAPTATION, FREQUENCIES, GRADIENTS),
    *(HELDOUT / f"{part}.{kind}.gz" for part in ("valid", "test") for kind in ("txt", "frames")),
)

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
TEXTS = (  # extensions of text files
    *(".txt", ".text", ".md", ".markdown", ".rst", ".tex", ".log", ".raw", ".tok", ".tokens"),
    *(".csv", ".tsv", ".json", ".jsonl", ".xml", ".html", ".htm", ".srt", ".vtt", ".utf8"),
)


def list_checkpoints(folder: Path = CHECKPOINTS) -> list[Path]:
    """Return the checkpoints in a folder, most recently written first."""
    written: dict[Path, int] = {}
    for path in (*folder.glob(f"[!.]*/{WEIGHTS}"), *folder.glob(f"[!.]*/{STATE}")):
        checkpoint = folder / path.relative_to(folder).parts[0]
        with suppress(OSError):  # a broken link, or a file that was just deleted
            written[checkpoint] = max(path.stat().st_mtime_ns, written.get(checkpoint, 0))
    found = [path for path in written if (path / WEIGHTS).exists()]
    return sorted(found, key=lambda path: written[path], reverse=True)


def find_checkpoint(name: Path | None = None) -> Path:
    """Return the folder of a checkpoint, by default of the newest one in `checkpoints/`.

    `name` is a path, or the name of a folder in `checkpoints/`.

    Raises:
        CheckpointError: there is no such checkpoint.
    """
    if name is None:
        if newest := list_checkpoints():
            return newest[0]
        raise CheckpointError("there is no checkpoint in checkpoints/ yet; run `charlm train`.")
    for folder in (name, CHECKPOINTS / name):
        if (folder / CONFIG).exists():
            return folder
    if name.exists():
        raise CheckpointError(
            f"{name} is not a checkpoint: it has no {CONFIG}; name a folder that `charlm train` "
            "wrote."
        )
    raise CheckpointError(f"there is no checkpoint {name}; `charlm list` shows those there are.")


def new_name(corpus: str) -> Path:
    """Return an unused folder name in `checkpoints/`, derived from the corpus name."""
    folder = first = CHECKPOINTS / base_name(corpus)
    number = 2
    while folder.exists():
        folder = first.with_name(f"{first.name}-{number}")
        number += 1
    return folder


def base_name(corpus: str) -> str:
    """Return the name of a corpus without folders and extensions.

    `tales` for `corpora/tales.txt.gz`, `Dr. Jekyll` for `Dr. Jekyll.txt`, `stdin` for `-`. Only the
    extensions in `COMPRESSED` and `TEXTS` are removed. A name never begins with a dot, because
    `charlm list` ignores hidden folders.
    """
    if corpus == "-":
        return "stdin"
    path = Path(urlsplit(corpus).path if "://" in corpus else corpus)
    if path.name in ("", ".."):
        path = path.resolve()
    name = path.name
    for endings in (COMPRESSED, TEXTS):
        if (stem := name.rpartition("."))[1] and f".{stem[2].lower()}" in endings:
            name = stem[0]
    return name.strip(" .") or "model"


def command_line(*arguments: str | Path) -> str:
    """Return a charlm command as a line for a shell, with arguments quoted as needed."""
    return shlex.join(["charlm", *map(str, arguments)])


def is_checkpoint_name(name: str) -> bool:
    """Return True if a checkpoint of this name exists."""
    # os.path.exists returns False even for names that no file can have.
    return any(os.path.exists(folder / CONFIG) for folder in (Path(name), CHECKPOINTS / name))


def is_text_name(name: str) -> bool:
    """Return True if this is the path of a file or folder that is not itself a checkpoint."""
    return os.path.exists(name) and not os.path.exists(Path(name) / CONFIG)


def is_whole_checkpoint(folder: Path) -> bool:
    """Return True if a folder is a complete checkpoint, and so not a folder of texts."""
    return (folder / CONFIG).exists() and (folder / WEIGHTS).exists()
