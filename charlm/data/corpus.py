"""Corpora: texts, their splits, and the hash of their content."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from charlm.data.corpus_config import PARTS, CorpusConfig, Part, split_bounds
from charlm.data.folders import expand_folders
from charlm.data.frames import Frame, Framing
from charlm.data.labelled import Columns, LabelledText, read_labelled
from charlm.data.scan import Scan, check_content, default_frame, join_notes, scan
from charlm.data.sources import Source, UserSource, source_of
from charlm.data.text_part import LabelledPart, TextPart
from charlm.errors import ConfigError, TextError
from charlm.text import TextConfig


@dataclass(frozen=True, slots=True)
class Corpus:
    """Corpus that has been read once: its splits, and the SHA-256 hash of its content."""

    config: CorpusConfig  # with the chosen frame filled in
    parts: dict[Part, TextPart | LabelledPart]
    framing: Framing
    sha256: str
    num_chars: int
    notes: tuple[str, ...]  # messages for the user

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels; empty if the texts have none."""
        text = self.parts["train"]
        return tuple(text.by_label) if isinstance(text, LabelledPart) else ()


def read_corpus(config: CorpusConfig, text: TextConfig) -> Corpus:
    """Read every text once to check, count and hash it, and choose the frame.

    Names of type `UserPath` may refer to standard input, pipes or remote files. Other names must
    be local files.

    Raises:
        TextError: a text cannot be read or is empty, or the training texts have only one distinct
            character.
        ConfigError: frames are set to be independent, but the corpus is one document.
    """
    if config.labelled:
        return read_labelled_corpus(config, text)
    named = {"train": config.paths, "valid": config.valid, "test": config.test}
    files = {part: expand_folders(paths) for part, paths in named.items()}
    any_bytes = text.level == "byte"
    sources = {
        part: [source_of(path, any_bytes=any_bytes) for path in files[part].paths] for part in named
    }
    scans = {part: [scan(source) for source in sources[part]] for part in sources}
    check_content([source.name for source in sources["train"]], scans["train"])
    held_out, found = ([*each["valid"], *each["test"]] for each in (sources, scans))
    for source, each in zip(held_out, found, strict=True):
        if not each.num_chars:
            raise TextError(f"{source.name} is empty; there is nothing to measure on.")
    frame = config.frame or default_frame(text, scans["train"])
    if config.independent_frames and frame == "document" and len(sources["train"]) == 1:
        raise ConfigError(
            "--independent-frames has no effect on one document; add --frame line or paragraph."
        )
    framing = make_framing(config, frame, text)
    num_chars = sum(s.num_chars for s in scans["train"])
    whole_words = text.level == "word"

    def part_of(part: Part) -> TextPart:
        if config.valid or config.test:
            return TextPart(sources[part], framing, whole_words=whole_words)
        bounds = split_bounds(config, part, num_chars)
        return TextPart(sources["train"], framing, *bounds, whole_words=whole_words)

    contents = [(part, s.sha256) for part in PARTS for s in scans[part]]
    notes = [note for part in PARTS for note in files[part].notes]
    return Corpus(
        config=replace(config, frame=frame),
        parts={part: part_of(part) for part in PARTS},
        framing=framing,
        sha256=hashlib.sha256(repr(contents).encode()).hexdigest(),
        num_chars=num_chars,
        notes=tuple(notes) + join_notes(s for part in PARTS for s in scans[part]),
    )


def read_labelled_corpus(config: CorpusConfig, text: TextConfig) -> Corpus:
    """Read a corpus with labels, as `read_corpus` does.

    The texts of each label are split separately.

    Raises:
        TextError: a text cannot be read, a text or a label is missing, the training texts have
            only one label, or a held-out label does not occur in them.
    """
    named = {"train": config.paths, "valid": config.valid, "test": config.test}
    columns = Columns(config.label_column, config.text_column)
    any_bytes = text.level == "byte"
    read = {
        part: [read_labelled(path, columns, any_bytes=any_bytes) for path in paths]
        for part, paths in named.items()
    }
    sources = {part: join_labels(found) for part, found in read.items()}
    labels = sorted(sources["train"])
    if not labels:
        raise TextError(f"{config.paths[0]} has no texts; a model needs texts of several labels.")
    if len(labels) < 2:
        raise TextError(
            f"{config.paths[0]} has the label {labels[0]!r} alone; a model learns to tell two at "
            "least apart."
        )
    for part in ("valid", "test"):
        if unknown := set(sources[part]) - set(labels):
            raise TextError(
                f"the {part} texts have the label {min(unknown)!r}, which no training text has."
            )
    scans = {label: [scan(source) for source in sources["train"][label]] for label in labels}
    every = list(chain.from_iterable(scans.values()))
    check_content([source.name for label in labels for source in sources["train"][label]], every)
    frame = config.frame or default_labelled_frame(read["train"], every)
    framing = make_framing(config, frame, text)
    num_chars = {label: sum(s.num_chars for s in scans[label]) for label in labels}

    def part_of(part: Part, label: str) -> TextPart:
        if config.valid or config.test:
            return TextPart(sources[part].get(label, []), framing, whole_documents=True)
        bounds = split_bounds(config, part, num_chars[label])
        return TextPart(sources["train"][label], framing, *bounds, whole_documents=True)

    contents = [(part, found.sha256) for part in PARTS for found in read[part]]
    return Corpus(
        config=replace(config, frame=frame),
        parts={
            part: LabelledPart({label: part_of(part, label) for label in labels}) for part in PARTS
        },
        framing=framing,
        sha256=hashlib.sha256(repr((contents, columns)).encode()).hexdigest(),
        num_chars=sum(num_chars.values()),
        notes=tuple(note for part in PARTS for found in read[part] for note in found.notes)
        + join_notes(every),
    )


def make_framing(config: CorpusConfig, frame: Frame, text: TextConfig) -> Framing:
    """Return the rules by which the texts of a corpus are cut into frames."""
    return Framing(frame=frame, pretokenized=text.pretokenized, line_endings=config.line_endings)


def join_labels(read: Sequence[LabelledText]) -> dict[str, list[Source]]:
    """Merge the sources of several texts by label."""
    joined: dict[str, list[Source]] = {}
    for found in read:
        for label, sources in found.sources.items():
            joined.setdefault(label, []).extend(sources)
    return joined


def default_labelled_frame(read: Sequence[LabelledText], scans: Sequence[Scan]) -> Frame:
    """Return the default frame of texts with labels.

    A record of a table is one frame (document). The files of a folder may be long; their frames are
    paragraphs if there are blank lines, otherwise lines.
    """
    if not any(found.is_folder for found in read):
        return "document"
    return "paragraph" if any(s.blank_lines for s in scans) else "line"


def read_text(path: str, framing: Framing, *, any_bytes: bool, name: str | None = None) -> TextPart:
    """Return a text to evaluate.

    Args:
        path: path given by the user, which may be standard input, a pipe or a remote file.
        framing: rules by which the text is cut into frames.
        any_bytes: accept bytes that are not UTF-8.
        name: name of the text in error messages; None uses the path.

    Raises:
        TextError: the text is missing, unreadable or empty.
    """
    source = UserSource(path, any_bytes=any_bytes, name=name)
    if not any(source.chunks()):
        raise TextError(f"{source.name} is empty; there is nothing to evaluate.")
    return TextPart([source], framing)
