"""config.json: the settings of a checkpoint, each validated when read."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from charlm.data import CorpusConfig, Part
from charlm.errors import CheckpointError, ConfigError
from charlm.model import ModelConfig
from charlm.settings import build, reason, shown
from charlm.text import TextConfig
from charlm.untrusted import MAX_CONFIG_BYTES, parse_json, read_regular
from charlm.version import __version__

FORMAT_VERSION = 3  # 1: weights were named as in torch's layers; 2: no held-out texts
READABLE_VERSIONS = (2, 3)
SECTIONS: dict[str, type[Any]] = {"text": TextConfig, "corpus": CorpusConfig, "model": ModelConfig}
HEX = re.compile("[0-9a-f]{1,64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldoutPart:
    """Size and checksums of one held-out text that a checkpoint contains; see heldout.py."""

    num_bytes: int = 0
    num_pieces: int = 0
    sha256: str = ""  # of the uncompressed text
    frames_sha256: str = ""  # of the uncompressed table of its pieces

    def __post_init__(self) -> None:
        if self.num_bytes < 0 or self.num_pieces < 0:
            raise ConfigError("the size of a held-out text must be 0 or more.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Heldout:
    """The held-out texts that a checkpoint contains."""

    valid: HeldoutPart
    test: HeldoutPart

    def of(self, part: Part) -> HeldoutPart:
        """Return the record of the validation or test text; the training text is not kept."""
        assert part != "train"
        return self.valid if part == "valid" else self.test


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointConfig:
    """Everything except the weights that is needed to use a model, and its origin.

    Raises:
        ConfigError: a setting is invalid, or settings contradict each other.
    """

    text: TextConfig
    corpus: CorpusConfig  # with a chosen frame, not None
    corpus_sha256: str
    tokenizer_sha256: str
    model: ModelConfig
    labels: tuple[str, ...] = ()  # names, in the order of the model's labels
    label_counts: tuple[int, ...] = ()  # number of training frames of each label
    heldout: Heldout | None = None  # None: the held-out texts are not kept
    charlm_version: str = __version__

    def __post_init__(self) -> None:
        for name in ("corpus_sha256", "tokenizer_sha256"):
            if not HEX.fullmatch(getattr(self, name)):
                raise ConfigError(
                    f"{name} must be a checksum in hexadecimal, not {shown(getattr(self, name))}."
                )
        if not self.charlm_version.isprintable() or len(self.charlm_version) > 64:
            raise ConfigError(f"charlm_version must be short, not {shown(self.charlm_version)}.")
        if self.corpus.frame is None:
            raise ConfigError("frame must be one that was chosen, not None.")
        if self.model.stop_by == "length" and not self.corpus.independent_frames:
            raise ConfigError("stop_by length needs independent_frames.")
        self._check_labels()

    def _check_labels(self) -> None:
        for label in self.labels:
            if not label.strip() or not label.isprintable() or "=" in label:
                raise ConfigError(f"a label must be printable and without '=', not {shown(label)}.")
        if len(set(self.labels)) < len(self.labels):
            raise ConfigError("the names of labels must differ from each other.")
        if len(self.labels) != self.model.num_labels:
            raise ConfigError(
                f"there are {len(self.labels):,} names of labels, but the model has "
                f"{self.model.num_labels:,} labels."
            )
        if len(self.label_counts) != len(self.labels) or min(self.label_counts, default=0) < 0:
            raise ConfigError(
                f"label_counts must be a count for each of {len(self.labels):,} labels, not "
                f"{shown(list(self.label_counts))}."
            )
        if self.corpus.labelled != bool(self.labels):
            raise ConfigError(
                f"labelled is {self.corpus.labelled}, but there are {len(self.labels):,} labels."
            )

    def to_json(self) -> str:
        """Return the content of config.json, with a SHA-256 checksum of the settings."""
        content = {"format_version": FORMAT_VERSION, **asdict(self)}
        return json.dumps({**content, "sha256": seal(content)}, indent=2, ensure_ascii=False) + "\n"


def read_config(path: Path) -> CheckpointConfig:
    """Read config.json.

    Raises:
        CheckpointError: the file is missing, damaged, changed by hand or not a charlm
            configuration, or its format version is not in `READABLE_VERSIONS`.
    """
    try:
        content = parse_json(read_regular(path, MAX_CONFIG_BYTES))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path.parent} is not a checkpoint: it has no {path.name}; name a folder that "
            "`charlm train` wrote."
        ) from None
    except (OSError, ValueError) as error:
        why = reason(error)
        raise CheckpointError(f"{path} is damaged and cannot be read: {why}.") from error
    if not isinstance(content, dict) or "format_version" not in content:
        raise CheckpointError(f"{path} was not written by charlm: it has no format_version.")
    if content["format_version"] not in READABLE_VERSIONS:
        known = " and ".join(map(str, READABLE_VERSIONS))
        raise CheckpointError(
            f"{path} has format {shown(content['format_version'])}, and this charlm reads "
            f"{known}; use the charlm that wrote it."
        )
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise CheckpointError(f"{path} is damaged: half a surrogate pair is no text.") from error
    if content.pop("sha256", None) != seal(content):
        raise CheckpointError(f"{path} is damaged or was changed by hand; restore the original.")
    del content["format_version"]
    try:
        corpus = content.get("corpus")
        if isinstance(corpus, dict):  # earlier versions ended frames only at \n
            content["corpus"] = {"line_endings": "lf", **corpus}
        sections = {name: build(kind, content.get(name)) for name, kind in SECTIONS.items()}
        sections["heldout"] = build_heldout(content.get("heldout"))
        return build(CheckpointConfig, content | sections)
    except ConfigError as error:
        why = reason(error)
        raise CheckpointError(f"{path} does not hold a charlm configuration: {why}.") from error


def build_heldout(content: Any) -> Heldout | None:
    """Return the record of the held-out texts from its table, or None if none are kept.

    Raises:
        ConfigError: a field is missing, unknown, of the wrong type or invalid.
    """
    if content is None:
        return None
    if not isinstance(content, dict):
        raise ConfigError(f"heldout must be a table, not {shown(content)}.")
    parts = {name: build(HeldoutPart, content.get(name)) for name in ("valid", "test")}
    return build(Heldout, content | parts)


def seal(content: dict[str, Any]) -> str:
    """Return the SHA-256 of the settings in hexadecimal, independent of their order."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
