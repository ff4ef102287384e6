"""Texts of a run: cut into windows, and found again when the run is resumed."""

from collections.abc import Sequence
from pathlib import Path

from charlm.checkpoint import Checkpoint, CheckpointConfig, kept_corpus
from charlm.data import (
    Corpus,
    CorpusConfig,
    Epochs,
    JoinedTokens,
    Part,
    TokenFile,
    Windows,
    encode_part,
    find_tokens,
    join_files,
    make_epochs,
    make_windows,
    read_corpus,
)
from charlm.errors import CheckpointError, TextError
from charlm.location import CONFIG
from charlm.model import StopName
from charlm.settings import shown
from charlm.text import Tokenizer
from charlm.training.config import TrainingConfig

VALID_TOKENS = 1 << 17  # of the validation part, enough for estimates during training
VALID_STREAMS = 64
VALID_WINDOW = 256


def train_windows(
    train: TokenFile,
    tokenizer: Tokenizer,
    corpus: CorpusConfig,
    training: TrainingConfig,
    stop_by: StopName,
) -> Epochs:
    """Return the training windows of all epochs."""
    return make_epochs(
        train.tokens,
        batch_size=training.batch_size,
        bptt=training.bptt,
        start_id=tokenizer.start_id,
        independent_frames=corpus.independent_frames,
        variable_bptt=training.variable_bptt,
        partial_shuffle=training.partial_shuffle,
        seed=training.seed,
        lengths_from=lengths_from(stop_by, tokenizer),
    )


def lengths_from(stop_by: StopName, tokenizer: Tokenizer) -> int | None:
    """Return the input id that stands for length 0, or None if `stop_by` is not "length"."""
    return tokenizer.vocab_size if stop_by == "length" else None


def valid_windows(
    valid: TokenFile, tokenizer: Tokenizer, corpus: CorpusConfig, stop_by: StopName
) -> Windows | None:
    """Return windows of parallel streams for estimates during training.

    Returns None if nothing is held out. At most `VALID_TOKENS` tokens are used.
    """
    if len(valid) < 2:
        return None
    tokens = valid.tokens
    if isinstance(tokens, JoinedTokens):
        tokens = tokens.heads(VALID_TOKENS)  # an equal share of each label's text
    else:
        tokens = tokens[:VALID_TOKENS]
    streams = max(1, min(VALID_STREAMS, len(tokens) // VALID_WINDOW))
    return make_windows(
        tokens,
        batch_size=streams,
        bptt=VALID_WINDOW,
        start_id=tokenizer.start_id,
        independent_frames=corpus.independent_frames,
        lengths_from=lengths_from(stop_by, tokenizer),
    )


def find_part(checkpoint: Checkpoint, part: Part, label: str | None = None) -> TokenFile:
    """Return the tokens of one part of the corpus that a checkpoint was trained on.

    For texts with labels, these are the tokens of `label`, or those of all labels one after the
    other if it is None.

    Validation and test texts are read from the checkpoint if it keeps them. Otherwise, and for the
    training text, the original corpus is read and checked if it still exists, so that no other text
    is used in its place. If it is missing, as standard input always is, the cached tokens are used.

    Raises:
        CheckpointError: the kept text is damaged; or none is kept, and the corpus has changed or
            was standard input without cached tokens.
        TextError: no text is kept, and both the corpus and its cached tokens are missing.
    """
    labels = checkpoint.config.labels
    if not labels:
        (found,) = find_files(checkpoint, part, [None])
        return found
    if label is not None:
        (found,) = find_files(checkpoint, part, [label])
        return found
    return join_files(find_files(checkpoint, part, labels))


def find_files(checkpoint: Checkpoint, part: Part, labels: Sequence[str | None]) -> list[TokenFile]:
    """Return the tokens of each of some labels; see `find_part`. The corpus is read only once."""
    config, tokenizer = checkpoint.config, checkpoint.tokenizer
    kept_text = kept_corpus(checkpoint.folder, config, part)
    if kept_text is not None:
        return [encode_part(kept_text, part, tokenizer, label) for label in labels]
    names = [*config.corpus.paths, *config.corpus.valid, *config.corpus.test]
    sha256 = config.corpus_sha256
    kept = [find_tokens(config.corpus, sha256, part, tokenizer, label) for label in labels]
    found = [file for file in kept if file is not None]
    if len(found) == len(kept) and not all(map(can_be_read_again, names)):
        return found
    corpus = find_text(checkpoint, part)
    return [encode_part(corpus, part, tokenizer, label) for label in labels]


def can_be_read_again(name: str) -> bool:
    """Return whether a name in a checkpoint is a local file or a folder of labelled texts."""
    return Path(name).is_file() or Path(name).is_dir()


def find_text(checkpoint: Checkpoint, part: Part) -> Corpus:
    """Return a corpus with one part as kept in a checkpoint, or else the original corpus.

    Raises:
        CheckpointError: the part is not kept, and the corpus has changed or was standard input.
        TextError: the part is not kept, and the corpus cannot be read.
    """
    kept = kept_corpus(checkpoint.folder, checkpoint.config, part)
    if kept is not None:
        return kept
    try:
        return find_corpus(checkpoint.config)
    except (CheckpointError, TextError) as error:
        name = {"train": "training", "valid": "validation", "test": "test"}[part]
        raise type(error)(f"{checkpoint.folder} does not keep its {name} text: {error}") from error


def find_corpus(config: CheckpointConfig) -> Corpus:
    """Return the corpus that a checkpoint was trained on.

    Raises:
        CheckpointError: the corpus has changed, has other labels or was standard input.
        TextError: the corpus cannot be read.
    """
    names = [*config.corpus.paths, *config.corpus.valid, *config.corpus.test]
    if "-" in names:
        raise CheckpointError(
            "this model was trained on standard input, which is no longer there; name the text."
        )
    try:
        corpus = read_corpus(config.corpus, config.text)
    except TextError as error:
        raise TextError(f"the text that the model was trained on is needed: {error}") from error
    if corpus.sha256 != config.corpus_sha256:
        raise CheckpointError(
            f"{', '.join(names)} has changed since the model was trained on it; put the old text "
            "back, or name the text to use."
        )
    if corpus.labels != config.labels:
        raise CheckpointError(
            f"the labels of {', '.join(names)} are {shown(list(corpus.labels))}, but {CONFIG} of "
            f"the checkpoint has {shown(list(config.labels))}; restore it."
        )
    return corpus
