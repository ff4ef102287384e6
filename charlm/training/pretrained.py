"""Initialization of a model's embedding with vectors from a file."""

from collections.abc import Mapping
from typing import Any

import torch

from charlm.data import TokenFile, Vectors, count_ids, read_vectors, source_of
from charlm.errors import ConfigError, TextError
from charlm.model import LanguageModel
from charlm.text import Tokenizer


def find_vectors(given: Mapping[str, Any], tokenizer: Tokenizer) -> Vectors | None:
    """Return the vectors of the vocabulary's symbols in the given file; None without a file.

    Raises:
        ConfigError: the embedding is one-hot.
        TextError: the file cannot be read, or has no vector for any symbol.
    """
    path = given.get("embeddings")
    if path is None:
        return None
    if given.get("embedding") == "one-hot":
        raise ConfigError("--embeddings has no effect with --embedding one-hot; choose one.")
    ids = {tokenizer.token(token): token for token in range(tokenizer.num_symbols)}
    vectors = read_vectors(source_of(path), ids)
    if not len(vectors.ids):
        raise TextError(
            f"{path} has a vector for none of the {len(ids):,} symbols of the vocabulary; "
            "is it of another language, or --level not word?"
        )
    return vectors


def fit_to_vectors(given: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Return the given settings, adapted to vectors of `size` numbers.

    Frozen vectors are not tied to the softmax.

    Raises:
        ConfigError: another embedding size is given, or frozen vectors are to be tied to the
            softmax.
    """
    asked = given.get("embedding_size", size)
    if asked != size:
        raise ConfigError(
            f"the vectors in {given['embeddings']} are {size} wide, not --embedding-size {asked}; "
            "leave it out."
        )
    settings = {**given, "embedding_size": size}
    if given.get("freeze_embeddings"):
        if given.get("tie_embeddings"):
            raise ConfigError(
                "--freeze-embeddings would freeze the tied softmax too; leave out --tie-embeddings."
            )
        settings["tie_embeddings"] = False
    return settings


@torch.no_grad()
def begin_with(model: LanguageModel, vectors: Vectors) -> None:
    """Write the vectors into the embedding; symbols without one keep their initial values."""
    assert model.body.embedding is not None
    model.body.embedding.weight[torch.from_numpy(vectors.ids)] = torch.from_numpy(vectors.values)


def coverage_note(vectors: Vectors, tokenizer: Tokenizer, train: TokenFile) -> str:
    """Return a note on how many symbols have a vector, and on their share of the text."""
    counts = count_ids(train, tokenizer.vocab_size)
    counts[[tokenizer.start_id, tokenizer.stop_id]] = 0
    share = counts[vectors.ids].sum() / max(1, counts.sum())
    return (
        f"{len(vectors.ids):,} of {tokenizer.num_symbols:,} symbols begin with a vector of the "
        f"file, {share:.1%} of the training text; the others begin at random."
    )
