"""Token files kept between runs, named by the content they were made from.

The name is a hash of the text, the tokenizer and the rules, so an edited corpus or another
vocabulary has a name of its own and nothing stale is ever served. The files are in a folder that
charlm marks as its own; only there, and only files of such names, are old ones deleted.
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
FOLDER = "charlm-tokens"  # within the cache folder, which other programs may use as well
MARKER = "CACHEDIR.TAG"  # backup programs leave out a folder with such a file
MARK = b"""\
Signature: 8a477f597d28d172789f06886806bc55
# charlm made this folder. It holds token files of texts, which charlm deletes when they have not
# been used for 30 days, and makes again when they are needed.
# https://bford.info/cachedir/ explains the first line.
"""
TOKEN_NAME = re.compile(r"[0-9a-f]{32}\.tokens")


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
    path = token_path(corpus.config, corpus.sha256, part, tokenizer, label)
    was_there = os.path.lexists(path)  # else another run may write it meanwhile
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
    """The tokens of one part if they are kept, whether or not the texts are at hand."""
    path = token_path(config, sha256, part, tokenizer, label)
    try:
        tokens = open_token_file(path, tokenizer.vocab_size)
    except (OSError, ValueError):  # none there, or a damaged one
        return None
    with suppress(OSError):  # someone else's file, shared, or on a disk that is read-only
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
    return token_folder() / f"{key.hexdigest()[:32]}.tokens"


def token_folder() -> Path:
    """Where all tokens are kept."""
    return cache_folder() / FOLDER


def make_token_folder() -> None:
    """Make the folder where tokens are kept, and mark it as charlm's own.

    A folder that exists is marked only if it is empty, but for marks that killed runs left half
    written.

    Raises:
        StorageError: it cannot be made.
    """
    folder = token_folder()
    make_folder(folder)
    with storage_errors(folder):
        if all(is_temporary(path, MARKER) for path in folder.iterdir()):
            write_atomically(folder / MARKER, MARK)


def is_own_folder(folder: Path) -> bool:
    """Whether charlm has marked a folder as its own."""
    marker = folder / MARKER
    return is_regular(marker) and marker.stat().st_size == len(MARK) and marker.read_bytes() == MARK


def is_own_file(path: Path) -> bool:
    """Whether it is a token file in charlm's own folder, or one that a killed run left."""
    temporary = TEMPORARY.fullmatch(path.name)
    name = temporary["name"] if temporary else path.name
    is_token_file = TOKEN_NAME.fullmatch(name) is not None and is_regular(path)
    return is_token_file or is_temporary(path, MARKER)


def check_replaceable(path: Path) -> None:
    """See that a damaged token file is a file, so that replacing it touches nothing else.

    Raises:
        StorageError: it is a link, a pipe or a folder.
    """
    if not is_regular(path):
        raise StorageError(f"{path} is not a regular file; remove it, so that charlm can write it.")


def forget_old_files(folder: Path) -> None:
    """Remove from charlm's own folder the files that nothing has used for thirty days.

    What cannot be removed stays: it is another user's, or the folder is read-only.
    """
    with suppress(OSError):
        if not is_own_folder(folder):
            return
        for path in folder.iterdir():
            with suppress(OSError):  # or another run has just renamed or removed it
                unused = time.time() - path.lstat().st_mtime
                if unused > KEEP_SECONDS and is_own_file(path):
                    path.unlink()
