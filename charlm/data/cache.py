"""Cache of token files, keyed by the content they were encoded from.

The file name is a hash of the text, the tokenizer and the framing rules. An edited corpus or
another vocabulary therefore has another file name, and stale tokens are never returned. The files
are in a folder that charlm marks as its own. Old files are deleted only in this folder, and only if
they have such a name.
"""

import hashlib
import json
import os
import re
import time
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from charlm.data.corpus import Corpus
from charlm.data.corpus_config import DEFAULT_SPLIT, CorpusConfig, Part
from charlm.data.text_part import LabelledPart
from charlm.data.token_file import TokenFile, join_files, open_token_file, write_token_file
from charlm.data.turning import write_turned
from charlm.errors import CharlmWarning, StorageError
from charlm.storage import (
    TEMPORARY,
    is_regular,
    is_temporary,
    make_folder,
    storage_errors,
    write_atomically,
)
from charlm.text import Tokenizer

KEEP_SECONDS = 30 * 24 * 3600
FOLDER = "charlm-tokens"  # inside the cache folder, which other programs may share
MARKER = "CACHEDIR.TAG"  # backup programs skip a folder that contains this file
MARK = b"""\
Signature: 8a477f597d28d172789f06886806bc55
# charlm made this folder. It holds token files of texts, which charlm deletes when they have not
# been used for 30 days, and makes again when they are needed.
# https://bford.info/cachedir/ explains the first line.
"""
TOKEN_NAME = re.compile(r"[0-9a-f]{32}\.tokens")


def cache_folder() -> Path:
    """Return `$CHARLM_CACHE` if set, otherwise `charlm` in the user's cache folder."""
    if folder := os.environ.get("CHARLM_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "charlm"


def encode_part(
    corpus: Corpus, part: Part, tokenizer: Tokenizer, label: str | None = None
) -> TokenFile:
    """Return the tokens of one split of a corpus in its direction, from the cache if possible.

    For texts with labels, return the tokens of `label`. If `label` is None, the tokens of all
    labels are joined in order. A damaged cache file is replaced with a `CharlmWarning`.

    Raises:
        TextError: a text cannot be read.
        StorageError: the disk is full, the cache folder is not writable, or the cache file is not
            a regular file.
    """
    text = corpus.parts[part]
    if isinstance(text, LabelledPart):
        if label is None:
            files = [encode_part(corpus, part, tokenizer, each) for each in text.by_label]
            return join_files(files)
        text = text.by_label[label]
    path = token_path(corpus.config, corpus.sha256, part, tokenizer, label)
    was_there = os.path.lexists(path)  # otherwise another run may have just written it
    kept = find_tokens(corpus.config, corpus.sha256, part, tokenizer, label)
    if kept is not None:
        return kept
    make_token_folder()
    forget_old_files(path.parent)
    if os.path.lexists(path):
        check_replaceable(path)
        if was_there:
            warnings.warn(
                f"a kept token file in {path.parent} was damaged; it is made again from the text.",
                CharlmWarning,
                stacklevel=1,
            )
    if corpus.config.reads == "backward":
        forward = replace(corpus, config=replace(corpus.config, direction="forward"))
        return write_turned(path, encode_part(forward, part, tokenizer, label), tokenizer)
    return write_token_file(path, text.pieces(), tokenizer)


def find_tokens(
    config: CorpusConfig, sha256: str, part: Part, tokenizer: Tokenizer, label: str | None = None
) -> TokenFile | None:
    """Return the cached tokens of one split, or None if there are none or they are damaged.

    The texts themselves are not read. The file is marked as used, so that it is kept longer.
    """
    path = token_path(config, sha256, part, tokenizer, label)
    try:
        tokens = open_token_file(path, tokenizer.vocab_size)
    except (OSError, ValueError):  # missing or damaged
        return None
    with suppress(OSError):  # the file belongs to another user, or the disk is read-only
        os.utime(path)
    return tokens


def token_path(
    config: CorpusConfig, sha256: str, part: Part, tokenizer: Tokenizer, label: str | None = None
) -> Path:
    """Return the cache path for the tokens of one split."""
    named = bool(config.valid or config.test)
    rules = [sha256, named or config.split or DEFAULT_SPLIT, config.frame, part]
    rules += [config.reads] * (config.reads != "forward")
    rules += ["any line ending"] * (config.line_endings == "any" and config.frame != "document")
    rules += [f"label {label}"] * (label is not None)
    key = hashlib.sha256(f"{json.dumps(rules)}\n{tokenizer.to_json()}".encode())
    return token_folder() / f"{key.hexdigest()[:32]}.tokens"


def token_folder() -> Path:
    """Return the folder of all cached token files."""
    return cache_folder() / FOLDER


def make_token_folder() -> None:
    """Create the folder of cached token files, and mark it as charlm's own.

    An existing folder is marked only if it is empty, apart from incomplete marker files that
    interrupted runs left behind.

    Raises:
        StorageError: the folder cannot be created or written to.
    """
    folder = token_folder()
    make_folder(folder)
    with storage_errors(folder):
        if all(is_temporary(path, MARKER) for path in folder.iterdir()):
            write_atomically(folder / MARKER, MARK)


def is_own_folder(folder: Path) -> bool:
    """Return whether charlm has marked a folder as its own."""
    marker = folder / MARKER
    return is_regular(marker) and marker.stat().st_size == len(MARK) and marker.read_bytes() == MARK


def is_own_file(path: Path) -> bool:
    """Return whether a file in charlm's own folder was written by charlm.

    These are token files, and temporary files left by interrupted runs.
    """
    temporary = TEMPORARY.fullmatch(path.name)
    name = temporary["name"] if temporary else path.name
    is_token_file = TOKEN_NAME.fullmatch(name) is not None and is_regular(path)
    return is_token_file or is_temporary(path, MARKER)


def check_replaceable(path: Path) -> None:
    """Check that a damaged token file is a regular file and may be replaced.

    Raises:
        StorageError: the path is a link, a folder, a pipe or a device.
    """
    if not is_regular(path):
        raise StorageError(f"{path} is not a regular file; remove it, so that charlm can write it.")


def forget_old_files(folder: Path) -> None:
    """Delete token files that have not been used for 30 days, if the folder is charlm's own.

    Files that cannot be deleted are kept: they belong to another user, or the folder is read-only.
    """
    with suppress(OSError):
        if not is_own_folder(folder):
            return
        for path in folder.iterdir():
            with suppress(OSError):  # another run may have just renamed or deleted it
                unused = time.time() - path.lstat().st_mtime
                if unused > KEEP_SECONDS and is_own_file(path):
                    path.unlink()
