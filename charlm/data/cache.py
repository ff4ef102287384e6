"""Token files kept between runs, named by the content they were made from.

The name is a hash of the text, the tokenizer and the rules, so an edited corpus or another
vocabulary has a name of its own and nothing stale is ever served.
"""

import hashlib
import json
import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from charlm.data.corpus import Corpus
from charlm.data.corpus_config import DEFAULT_SPLIT, CorpusConfig, Part
from charlm.data.text_part import LabelledPart
from charlm.data.token_file import TokenFile, join_files, open_token_file, write_token_file
from charlm.data.turning import write_turned
from charlm.storage import make_folder, storage_errors
from charlm.text import Tokenizer

KEEP_SECONDS = 30 * 24 * 3600


def cache_folder() -> Path:
    """`$CHARLM_CACHE`, else `charlm` in the user's cache folder."""
    if folder := os.environ.get("CHARLM_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "charlm"


def encode_part(
    corpus: Corpus, part: Part, tokenizer: Tokenizer, label: str | None = None
) -> TokenFile:
    """The tokens of one part of a corpus in its direction, encoded once and then kept.

    Of texts with labels they are those of one label, or of all one after the other.

    Raises:
        TextError: a text cannot be read.
        StorageError: the cache folder is full or not writable.
    """
    text = corpus.parts[part]
    if isinstance(text, LabelledPart):
        if label is None:
            files = [encode_part(corpus, part, tokenizer, each) for each in text.by_label]
            return join_files(files)
        text = text.by_label[label]
    kept = find_tokens(corpus.config, corpus.sha256, part, tokenizer, label)
    if kept is not None:
        return kept
    path = token_path(corpus.config, corpus.sha256, part, tokenizer, label)
    make_folder(path.parent)
    forget_old_files(path.parent)
    if corpus.config.reads == "backward":
        forward = replace(corpus, config=replace(corpus.config, direction="forward"))
        return write_turned(path, encode_part(forward, part, tokenizer, label), tokenizer)
    return write_token_file(path, text.pieces(), tokenizer)


def find_tokens(
    config: CorpusConfig, sha256: str, part: Part, tokenizer: Tokenizer, label: str | None = None
) -> TokenFile | None:
    """The tokens of one part if they are kept, whether or not the texts are at hand."""
    path = token_path(config, sha256, part, tokenizer, label)
    try:
        tokens = open_token_file(path)
    except (OSError, ValueError):  # none there, or a damaged one
        return None
    with suppress(PermissionError):  # someone else's file, shared
        os.utime(path)
    return tokens


def token_path(
    config: CorpusConfig, sha256: str, part: Part, tokenizer: Tokenizer, label: str | None = None
) -> Path:
    """Where the tokens of one part are kept."""
    named = bool(config.valid or config.test)
    rules = [sha256, named or config.split or DEFAULT_SPLIT, config.frame, part]
    rules += [config.reads] * (config.reads != "forward")
    rules += ["any line ending"] * (config.line_endings == "any" and config.frame != "document")
    rules += [f"label {label}"] * (label is not None)
    key = hashlib.sha256(f"{json.dumps(rules)}\n{tokenizer.to_json()}".encode())
    return cache_folder() / f"{key.hexdigest()[:32]}.tokens"


def forget_old_files(folder: Path) -> None:
    """Remove what nothing has used for thirty days."""
    with storage_errors(folder):
        for path in folder.iterdir():
            with suppress(FileNotFoundError):  # another run has just renamed or removed it
                unused = time.time() - path.stat().st_mtime
                if path.suffix in (".tokens", ".tmp") and unused > KEEP_SECONDS:
                    path.unlink()
