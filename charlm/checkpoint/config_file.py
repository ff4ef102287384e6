"""config.json: what a checkpoint is, checked key by key."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from charlm.data import CorpusConfig, Part
from charlm.errors import CheckpointError, ConfigError
from charlm.model import ModelConfig
from charlm.settings import pick, setting_names
from charlm.text import TextConfig
from charlm.version import __version__

FORMAT_VERSION = 3  # 1: weights had the names of torch's layers; 2: no held-out texts
READABLE_VERSIONS = (2, 3)


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldoutPart:
    """What names one held-out text that travels with a checkpoint: see heldout.py."""

    num_bytes: int = 0
    num_pieces: int = 0
    sha256: str = ""  # of the text
    frames_sha256: str = ""  # of the table of its pieces

    def __post_init__(self) -> None:
        if self.num_bytes < 0 or self.num_pieces < 0:
            raise ConfigError("the size of a held-out text must be 0 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class Heldout:
    """The held-out texts that travel with a checkpoint."""

    valid: HeldoutPart
    test: HeldoutPart

    def of(self, part: Part) -> HeldoutPart:
        """One of them; the training text is not kept."""
        assert part != "train"
        return self.valid if part == "valid" else self.test


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointConfig:
    """Everything but the weights that is needed to use a model, and where it came from."""

    text: TextConfig
    corpus: CorpusConfig  # with the frame that was chosen
    corpus_sha256: str
    tokenizer_sha256: str
    model: ModelConfig
    labels: tuple[str, ...] = ()  # names, in the order of the model's labels
    label_counts: tuple[int, ...] = ()  # training frames of each
    heldout: Heldout | None = None  # None: its texts are not kept
    charlm_version: str = __version__

    def to_json(self) -> str:
        """The content of config.json, sealed against damage."""
        content = {"format_version": FORMAT_VERSION, **asdict(self)}
        return json.dumps({**content, "sha256": seal(content)}, indent=2, ensure_ascii=False) + "\n"


Settings = TypeVar("Settings", TextConfig, CorpusConfig, ModelConfig, HeldoutPart)


def read_config(path: Path) -> CheckpointConfig:
    """Read config.json.

    Raises:
        CheckpointError: it is missing, damaged, changed by hand, or of a later format.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path.parent} is not a checkpoint: it has no {path.name}; name a folder that "
            "`charlm train` wrote."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged and cannot be read: {error}.") from error
    if not isinstance(content, dict) or "format_version" not in content:
        raise CheckpointError(f"{path} was not written by charlm: it has no format_version.")
    if content["format_version"] not in READABLE_VERSIONS:
        known = " and ".join(map(str, READABLE_VERSIONS))
        raise CheckpointError(
            f"{path} has format {content['format_version']!r}, and this charlm reads {known}; use "
            "the charlm that wrote it."
        )
    if content.pop("sha256", None) != seal(content):
        raise CheckpointError(f"{path} is damaged or was changed by hand; restore the original.")
    del content["format_version"]
    try:
        return CheckpointConfig(
            **{
                **content,
                "text": build(TextConfig, content["text"]),
                "corpus": build(CorpusConfig, content["corpus"]),
                "model": build(ModelConfig, content["model"]),
                "labels": tuple(content.get("labels", ())),
                "label_counts": tuple(content.get("label_counts", ())),
                "heldout": build_heldout(content.get("heldout")),
            }
        )
    except (KeyError, TypeError, AttributeError, ConfigError) as error:
        raise CheckpointError(f"{path} does not hold a charlm configuration: {error}.") from error


def build_heldout(content: dict[str, Any] | None) -> Heldout | None:
    """The record of the held-out texts from its dictionary; errors as in `build`."""
    if content is None:
        return None
    parts = {"valid": content["valid"], "test": content["test"]}
    if unknown := set(content) - set(parts):
        raise ConfigError(f"unknown settings {', '.join(sorted(unknown))}")
    return Heldout(**{name: build(HeldoutPart, part) for name, part in parts.items()})


def build(kind: type[Settings], content: dict[str, Any]) -> Settings:
    """A settings object from its dictionary, every key accounted for.

    Raises:
        ConfigError: a key is unknown, or a value of another type or out of range.
    """
    listed = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
    if unknown := set(listed) - setting_names(kind):
        raise ConfigError(f"unknown settings {', '.join(sorted(unknown))}")
    return kind(**pick(kind, listed))


def seal(content: dict[str, Any]) -> str:
    """A sha256 of the settings, whatever their order."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
