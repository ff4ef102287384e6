"""The texts of a run: cut into windows, and found again when it goes on."""

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

VALID_TOKENS = 1 << 17  # of the validation part are enough for the estimate while training
VALID_STREAMS = 64
VALID_WINDOW = 256


def train_windows(
    train: TokenFile,
    tokenizer: Tokenizer,
    corpus: CorpusConfig,
    training: TrainingConfig,
    stop_by: StopName,
) -> Epochs:
    """The windows of all epochs."""
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
    """The id that tells a length of 0 to a model that is told lengths."""
    return tokenizer.vocab_size if stop_by == "length" else None


def valid_windows(
    valid: TokenFile, tokenizer: Tokenizer, corpus: CorpusConfig, stop_by: StopName
) -> Windows | None:
    """Parallel streams for the estimate while training; None where nothing is held out."""
    if len(valid) < 2:
        return None
    tokens = valid.tokens
    if isinstance(tokens, JoinedTokens):
        tokens = tokens.heads(VALID_TOKENS)  # of each label
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
    """The tokens of one part of the corpus that a checkpoint was trained on.

    Of texts with labels they are those of one label, or of all one after the other.

    Validation and test texts are those that the checkpoint keeps. Where it keeps none, and for the
    training text, the corpus itself is looked at where it still is, so that no other text is taken
    for it; where it is gone (standard input always is), the cached tokens serve.

    Raises:
        CheckpointError: the kept text is damaged; or none is kept, and the corpus has changed, or
            was standard input, whose tokens are gone.
        TextError: none is kept, and the corpus is gone with its tokens.
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
    """The tokens of each of some labels, the corpus being looked at once; else as `find_part`."""
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
    """Whether a text that a checkpoint names is a local file, or a folder of labelled texts."""
    return Path(name).is_file() or Path(name).is_dir()


def find_text(checkpoint: Checkpoint, part: Part) -> Corpus:
    """A corpus that holds one part as a checkpoint keeps it, else the original one.

    Raises:
        CheckpointError: it is not kept, and the corpus has changed, or was standard input.
        TextError: it is not kept, and the corpus is gone.
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
    """The corpus that a checkpoint was trained on.

    Raises:
        CheckpointError: it has changed, has other labels, or was standard input.
        TextError: it is gone.
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
