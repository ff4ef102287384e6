"""Where checkpoints are: finding one, and naming a new one. Needs no torch."""

from pathlib import Path

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


def list_checkpoints(folder: Path = CHECKPOINTS) -> list[Path]:
    """The checkpoints in a folder, the one written to last first."""
    found = [path.parent for path in folder.glob(f"[!.]*/{WEIGHTS}")]
    return sorted(found, key=lambda path: (path / WEIGHTS).stat().st_mtime_ns, reverse=True)


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
    """`tales` of `corpora/tales.txt.gz`, `stdin` of `-`."""
    return "stdin" if corpus == "-" else Path(corpus).name.split(".")[0] or "model"


def is_checkpoint_name(name: str) -> bool:
    """Whether a checkpoint of that name exists."""
    return any((folder / CONFIG).exists() for folder in (Path(name), CHECKPOINTS / name))
