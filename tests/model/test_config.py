"""A model's shape is checked once, when it is named."""

from dataclasses import FrozenInstanceError

import pytest

from charlm.errors import ConfigError
from charlm.model import ModelConfig


@pytest.mark.parametrize("value", [0, -1, 1.5, "8", None])
@pytest.mark.parametrize("name", ["vocab_size", "embedding_size", "hidden_size", "num_layers"])
def test_sizes_are_whole_numbers_of_at_least_one(name, value):
    sizes = {"vocab_size": 8, "tie_embeddings": False, name: value}

    with pytest.raises(ConfigError, match=f"{name} must be a whole number .* not {value!r}"):
        ModelConfig(**sizes)


@pytest.mark.parametrize("cell", ["LSTM", "transformer", "", None])
def test_an_unknown_cell_is_answered_with_the_known_ones(cell):
    with pytest.raises(ConfigError, match="rnn, rnn-relu, lstm, gru"):
        ModelConfig(vocab_size=8, cell=cell)


@pytest.mark.parametrize("dropout", [-0.1, 1, 1.0, 2.5, float("nan"), "0.5", None])
def test_dropout_is_a_probability_below_one(dropout):
    with pytest.raises(ConfigError, match=r"dropout must be in \[0, 1\)"):
        ModelConfig(vocab_size=8, dropout=dropout)


@pytest.mark.parametrize("dropout", [0, 0.0, 0.999])
def test_the_bounds_of_dropout_are_allowed(dropout):
    assert ModelConfig(vocab_size=8, dropout=dropout).dropout == dropout


def test_tied_embeddings_need_one_size_for_both():
    with pytest.raises(ConfigError, match=r"embedding_size = hidden_size, not 16 and 32.*--no-tie"):
        ModelConfig(vocab_size=8, embedding_size=16, hidden_size=32)


def test_untied_embeddings_may_have_their_own_size():
    config = ModelConfig(vocab_size=8, embedding_size=16, hidden_size=32, tie_embeddings=False)

    assert (config.embedding_size, config.hidden_size) == (16, 32)


@pytest.mark.parametrize("cell", ["rnn", "rnn-relu", "lstm", "gru"])
def test_every_size_may_be_one(cell):
    config = ModelConfig(vocab_size=1, cell=cell, embedding_size=1, hidden_size=1, num_layers=1)

    assert config.cell == cell


def test_a_config_does_not_change():
    config = ModelConfig(vocab_size=8)

    with pytest.raises(FrozenInstanceError):
        config.vocab_size = 9
