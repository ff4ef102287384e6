"""Predictors beside the network, over its vocabulary: n-grams, ARPA files, mixtures of them all."""

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

FITTING_TOKENS = 200_000  # of the validation part, its first, decide over the weights
ARPA_NAMES = {"<start>": "<s>", "<stop>": "</s>", "<other>": "<unk>"}


def train_ngram(checkpoint: Checkpoint, order: int) -> NgramModel:
    """An interpolated modified Kneser-Ney model of the tokens that a network was trained on.

    Raises:
        CheckpointError: the training text has changed or is gone.
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
    """An n-gram model from an ARPA file that the user names, over the checkpoint's vocabulary.

    Raises:
        TextError: the file cannot be read, is damaged, or has another vocabulary.
    """
    source = UserSource(path)
    words = arpa_words(checkpoint.tokenizer)
    return read_arpa(lines_of(source), words=words, name=source.name)


def arpa_words(tokenizer: Tokenizer) -> list[str]:
    """What each token is called in an ARPA file, by id.

    White space, which divides words there, is called by its code point, as `<U+0020>`.
    """
    names = [str(tokenizer.backend.id_to_token(i)) for i in range(tokenizer.num_symbols)]
    names = [name if name.isprintable() and not name.isspace() else spelled(name) for name in names]
    return [*names, *ARPA_NAMES.values()]


def spelled(name: str) -> str:
    """A token by its code points."""
    return "".join(f"<U+{ord(character):04X}>" for character in name)


def check_same_vocabulary(first: Checkpoint, other: Checkpoint) -> None:
    """Mixed models must mean the same by a token.

    Raises:
        CheckpointError: their vocabularies differ, or one foretells lengths.
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
    """Weights under which the validation part of the evaluator's corpus is most probable.

    A member that gets no weight at all is left out.

    Raises:
        CheckpointError: the corpus has changed or is gone.
        TextError: it has no validation part.
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
    """Predictors with their weights, by name.

    Raises:
        ConfigError: a weight is not above 0, or they do not sum to 1.
    """
    return Mixture([members[name] for name in weights], list(weights.values()))


def ngram_order(name: str) -> int | None:
    """The order that `ngram` (5) or `ngram:3` names; None where the name is another.

    Raises:
        ConfigError: the order is no whole number.
    """
    kind, colon, order = name.partition(":")
    if kind != "ngram":
        return None
    if colon and not order.isdecimal():
        raise ConfigError(f"the order in {name!r} must be a whole number, as in ngram:3.")
    return int(order) if colon else 5


def is_arpa(name: str) -> bool:
    """Whether a name is that of an ARPA file, packed or not."""
    return ".arpa" in Path(name).suffixes


def ngram_predictor(checkpoint: Checkpoint, name: str) -> NgramPredictor | None:
    """The n-gram model of that name: `ngram`, `ngram:3` or an ARPA file; None if it is neither.

    Raises:
        CharlmError: it cannot be made or read.
    """
    if is_arpa(name):
        return NgramPredictor(read_ngram(checkpoint, name))
    if (order := ngram_order(name)) is not None:
        return NgramPredictor(train_ngram(checkpoint, order))
    return None
