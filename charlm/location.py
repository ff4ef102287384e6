"""Where checkpoints are: finding one, and naming a new one. Needs no torch."""

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
LEVEL_STATE = Path("state/level.safetensors")  # from which a longer run goes on: extension.py
ADAPTATION = Path("adaptation.json")
BACKWARD = Path("backward")  # a checkpoint within a checkpoint
FREQUENCIES = Path("frequencies.safetensors")
GRADIENTS = Path("gradients.safetensors")
HELDOUT = Path("heldout")
EVENTS = Path("tensorboard")  # a folder of what `charlm train --tensorboard` writes
FILES = (  # every other file that charlm writes into a checkpoint; add new ones here
    *(CONFIG, WEIGHTS, TOKENIZER, RECIPE, METRICS, CARD, STATE, LEVEL_STATE),
    *(ADAPTATION, FREQUENCIES, GRADIENTS),
    *(HELDOUT / f"{part}.{kind}.gz" for part in ("valid", "test") for kind in ("txt", "frames")),
)

COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
TEXTS = (  # endings of files of text
    *(".txt", ".text", ".md", ".markdown", ".rst", ".tex", ".log", ".raw", ".tok", ".tokens"),
    *(".csv", ".tsv", ".json", ".jsonl", ".xml", ".html", ".htm", ".srt", ".vtt", ".utf8"),
)


def list_checkpoints(folder: Path = CHECKPOINTS) -> list[Path]:
    """The checkpoints in a folder, the one written to last first."""
    written: dict[Path, int] = {}
    for path in (*folder.glob(f"[!.]*/{WEIGHTS}"), *folder.glob(f"[!.]*/{STATE}")):
        checkpoint = folder / path.relative_to(folder).parts[0]
        with suppress(OSError):  # a link to nothing; or it has just been deleted
            written[checkpoint] = max(path.stat().st_mtime_ns, written.get(checkpoint, 0))
    found = [path for path in written if (path / WEIGHTS).exists()]
    return sorted(found, key=lambda path: written[path], reverse=True)


def find_checkpoint(name: Path | None = None) -> Path:
    """The checkpoint of that name; the newest one under `checkpoints/` by default.

    Raises:
        CheckpointError: there is none.
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
    """A folder under `checkpoints/` named after the corpus, not taken yet."""
    folder = first = CHECKPOINTS / base_name(corpus)
    number = 2
    while folder.exists():
        folder = first.with_name(f"{first.name}-{number}")
        number += 1
    return folder


def base_name(corpus: str) -> str:
    """`tales` of `corpora/tales.txt.gz`, `Dr. Jekyll` of `Dr. Jekyll.txt`, `stdin` of `-`.

    Only the endings of `COMPRESSED` and `TEXTS` are left out; what else has a dot is part of the
    name. A name never begins with a dot: `charlm list` does not look at hidden folders.
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
    """A charlm command that can be copied to a shell, whatever the names in it."""
    return shlex.join(["charlm", *map(str, arguments)])


def is_checkpoint_name(name: str) -> bool:
    """Whether a checkpoint of that name exists."""
    # os.path answers for names that no file can have, too.
    return any(os.path.exists(folder / CONFIG) for folder in (Path(name), CHECKPOINTS / name))


def is_text_name(name: str) -> bool:
    """Whether a file or a folder of texts has this name, though a checkpoint may have it, too."""
    return os.path.exists(name) and not os.path.exists(Path(name) / CONFIG)


def is_whole_checkpoint(folder: Path) -> bool:
    """Whether a folder holds what makes a checkpoint, so that it is none of texts."""
    return (folder / CONFIG).exists() and (folder / WEIGHTS).exists()
