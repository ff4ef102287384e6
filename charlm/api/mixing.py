"""Other predictors over the network's vocabulary: n-gram models, ARPA files and mixtures."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from charlm.api.evaluating import Evaluator
from charlm.checkpoint import Checkpoint
from charlm.data import UserSource, lines_of
from charlm.errors import CheckpointError, ConfigError
from charlm.evaluation import Mixture, NgramPredictor, Predictor, fit_weights, read_text
from charlm.ngram import NgramModel, build_kneser_ney, read_arpa
from charlm.text import Tokenizer
from charlm.training import find_part

FITTING_TOKENS = 200_000  # first tokens of the validation split that weights are fitted on
ARPA_NAMES = {"<start>": "<s>", "<stop>": "</s>", "<other>": "<unk>"}


def train_ngram(checkpoint: Checkpoint, order: int) -> NgramModel:
    """Return an interpolated modified Kneser-Ney model of the training tokens of a checkpoint.

    Raises:
        CheckpointError: the training text has changed or is missing.
        ConfigError: the order is below 1, or too high to be counted.
    """
    tokens = find_part(checkpoint, "train").tokens
    return build_kneser_ney(
        tokens,
        order=order,
        vocab_size=checkpoint.tokenizer.vocab_size,
        start_id=checkpoint.tokenizer.start_id,
    )


def read_ngram(checkpoint: Checkpoint, path: str) -> NgramModel:
    """Return an n-gram model from an ARPA file, over the checkpoint's vocabulary.

    Raises:
        TextError: the file cannot be read, is damaged, or has a different vocabulary.
    """
    source = UserSource(path)
    words = arpa_words(checkpoint.tokenizer)
    return read_arpa(lines_of(source), words=words, name=source.name)


def arpa_words(tokenizer: Tokenizer) -> list[str]:
    """Return the name of each token in an ARPA file, indexed by token id.

    ARPA files separate words by white space, so tokens that are white space or contain unprintable
    characters are written as code points, such as `<U+0020>`.
    """
    names = [str(tokenizer.backend.id_to_token(i)) for i in range(tokenizer.num_symbols)]
    names = [name if name.isprintable() and not name.isspace() else spelled(name) for name in names]
    return [*names, *ARPA_NAMES.values()]


def spelled(name: str) -> str:
    """Return a token as its code points."""
    return "".join(f"<U+{ord(character):04X}>" for character in name)


def check_same_vocabulary(first: Checkpoint, other: Checkpoint) -> None:
    """Check that two models share a vocabulary, so that they can be mixed.

    Raises:
        CheckpointError: their vocabularies differ, or one of them predicts lengths.
    """
    for checkpoint in (first, other):
        if checkpoint.config.model.stop_by == "length":
            raise CheckpointError(
                f"{checkpoint.folder} foretells lengths, of which others know nothing; it cannot "
                "be mixed."
            )
    if first.config.tokenizer_sha256 != other.config.tokenizer_sha256:
        sizes = [f"{c.tokenizer.level}, {c.tokenizer.vocab_size:,}" for c in (first, other)]
        raise CheckpointError(
            f"{first.folder} ({sizes[0]}) and {other.folder} ({sizes[1]}) have different "
            "vocabularies and cannot be mixed; train both on one tokenizer."
        )


def fit_mixture(evaluator: Evaluator, members: Mapping[str, Predictor]) -> dict[str, float]:
    """Return the weights that maximize the probability of the corpus's validation split.

    The weights sum to 1. Members with a weight of at most 1e-6 are left out.

    Raises:
        CheckpointError: the corpus has changed or is missing.
        ConfigError: the evaluator's frame differs from that of training.
        TextError: the validation split is empty, or the corpus is missing.
    """
    tokens = evaluator.split("valid").tokens[:FITTING_TOKENS]
    nats = [
        np.concatenate([s.nats for s in read_text(member, tokens, evaluator.reading)])
        for member in members.values()
    ]
    weights = fit_weights(np.stack(nats))
    kept = {n: float(w) for n, w in zip(members, weights, strict=True) if w > 1e-6}
    total = sum(kept.values())
    return {name: weight / total for name, weight in kept.items()}


def mix(members: Mapping[str, Predictor], weights: Mapping[str, float]) -> Predictor:
    """Return a mixture of predictors with the given weights, both by name.

    Raises:
        ConfigError: a weight is not above 0, or the weights do not sum to 1.
    """
    return Mixture([members[name] for name in weights], list(weights.values()))


def ngram_order(name: str) -> int | None:
    """Return the order in a name such as `ngram:3`, 5 for `ngram`, and None for other names.

    Raises:
        ConfigError: the order is not a whole number.
    """
    kind, colon, order = name.partition(":")
    if kind != "ngram":
        return None
    if colon and not order.isdecimal():
        raise ConfigError(f"the order in {name!r} must be a whole number, as in ngram:3.")
    return int(order) if colon else 5


def is_arpa(name: str) -> bool:
    """Return True if a name is that of an ARPA file, compressed or not."""
    return ".arpa" in Path(name).suffixes


def ngram_predictor(checkpoint: Checkpoint, name: str) -> NgramPredictor | None:
    """Return the n-gram model for `ngram`, `ngram:3` or an ARPA file; None for other names.

    Raises:
        CharlmError: the model cannot be trained or read.
    """
    if is_arpa(name):
        return NgramPredictor(read_ngram(checkpoint, name))
    if (order := ngram_order(name)) is not None:
        return NgramPredictor(train_ngram(checkpoint, order))
    return None
