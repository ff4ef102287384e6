"""A model's shape is checked once, when it is named."""

import re
from dataclasses import FrozenInstanceError

import pytest

from charlm.errors import ConfigError
from charlm.model import ModelConfig

DROPOUTS = ["dropout", "hidden_dropout", "input_dropout", "embedding_dropout", "weight_dropout"]


@pytest.mark.parametrize("value", [0, -1, 1.5, "8", None])
@pytest.mark.parametrize("name", ["vocab_size", "embedding_size", "hidden_size", "num_layers"])
def test_sizes_are_whole_numbers_of_at_least_one(name, value):
    sizes = {"vocab_size": 8, "tie_embeddings": False, name: value}

    with pytest.raises(ConfigError, match=f"{name} must be a whole number .* not {value!r}"):
        ModelConfig(**sizes)


@pytest.mark.parametrize("cell", ["LSTM", "transformer", "", None])
def test_an_unknown_cell_is_answered_with_the_known_ones(cell):
    with pytest.raises(ConfigError, match=r"rnn, rnn-relu, .*lstm, .*gru"):
        ModelConfig(vocab_size=8, cell=cell)


@pytest.mark.parametrize("p", [-0.1, 1, 1.0, 2.5, float("nan"), "0.5", [0.5]])
@pytest.mark.parametrize("name", DROPOUTS)
def test_each_dropout_is_a_probability_below_one(name, p):
    with pytest.raises(
        ConfigError, match=rf"^{name} must be in \[0, 1\), not {re.escape(repr(p))}\.$"
    ):
        ModelConfig(vocab_size=8, num_layers=2, **{name: p})


@pytest.mark.parametrize("name", [name for name in DROPOUTS if name != "hidden_dropout"])
def test_no_dropout_is_0_not_none(name):
    with pytest.raises(ConfigError, match=rf"^{name} must be in .* not None\.$"):
        ModelConfig(vocab_size=8, **{name: None})


@pytest.mark.parametrize("p", [0, 0.0, 0.999])
@pytest.mark.parametrize("name", DROPOUTS)
def test_the_bounds_of_each_dropout_are_allowed(name, p):
    assert getattr(ModelConfig(vocab_size=8, num_layers=2, **{name: p}), name) == p


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


@pytest.mark.parametrize(
    ("sizes", "layers"),
    [
        ({"hidden_size": 8}, (8,)),
        ({"hidden_size": 8, "num_layers": 3}, (8, 8, 8)),
        ({"hidden_size": 8, "num_layers": 3, "last_hidden_size": 4}, (8, 8, 4)),
        ({"hidden_size": 8, "num_layers": 2, "last_hidden_size": 9}, (8, 9)),
    ],
)
def test_the_last_layer_may_have_a_size_of_its_own(sizes, layers):
    config = ModelConfig(vocab_size=8, tie_embeddings=False, **sizes)

    assert config.layer_sizes == layers
    assert config.output_size == layers[-1]


def test_embeddings_are_tied_to_the_last_layer():
    sizes = {"hidden_size": 32, "num_layers": 2, "last_hidden_size": 16}

    assert ModelConfig(vocab_size=8, embedding_size=16, **sizes).tie_embeddings
    with pytest.raises(
        ConfigError, match=r"embedding_size = last_hidden_size, not 32 and 16; add --no-tie"
    ):
        ModelConfig(vocab_size=8, embedding_size=32, **sizes)


@pytest.mark.parametrize("cutoffs", [(1,), (96,), (1, 2, 96), (10, 50)])
def test_adaptive_softmax_may_cut_anywhere_below_the_rarest_word(cutoffs):
    config = ModelConfig(vocab_size=100, softmax="adaptive", softmax_cutoffs=cutoffs)

    assert config.softmax_cutoffs == cutoffs


@pytest.mark.parametrize("cutoffs", [(), (0,), (-5, 10), (97,), (10, 10), (50, 10), (10, 1000)])
def test_cutoffs_rise_and_leave_words_on_both_sides(cutoffs):
    said = r"^softmax_cutoffs must rise from at least 1 to at most 96, not \[.*\]\.$"

    with pytest.raises(ConfigError, match=said):
        ModelConfig(vocab_size=100, softmax="adaptive", softmax_cutoffs=cutoffs)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"last_hidden_size": 512}, "last_hidden_size has no effect on a single layer; add --num"),
        ({"hidden_dropout": 0.1}, "hidden_dropout has no effect on a single layer; add --num-la"),
        (
            {"num_layers": 2, "last_hidden_size": 0},
            "last_hidden_size must be a whole number of at least 1, not 0",
        ),
        ({"mogrifier_steps": -1}, "mogrifier_steps must be a whole number of 0 or more, not -1"),
        ({"mogrifier_steps": 2, "cell": "gru"}, "mogrifier_steps are for cell lstm, not gru"),
        ({"embedding": "random"}, "embedding must be one of learned, one-hot, not 'random'"),
        ({"connect": "dense"}, "connect must be one of plain, residual, highway, skip, not"),
        ({"leak": 0.5}, "leak is for cell leaky, not lstm"),
        ({"cell": "leaky", "leak": 0.0}, "leak must be above 0 and at most 1, not 0.0"),
        ({"cell": "leaky-learned", "leak": 0.5}, "leak is for cell leaky, not leaky-learned"),
        ({"transition_depth": 0}, "transition_depth must be a whole number of 1 or more"),
        ({"cell": "gru", "mogrifier_steps": 2}, "mogrifier_steps are for cell lstm, not gru"),
        ({"cell": "jordan", "num_layers": 2}, "cell jordan feeds the output back, into a single"),
        (
            {"cell": "elman-jordan", "softmax": "adaptive", "softmax_cutoffs": (2,)},
            "cell elman-jordan feeds all outputs back; use --softmax full",
        ),
        (
            {"cell": "jordan", "transition_depth": 2},
            "transition_depth has no effect on cell jordan",
        ),
        ({"connect": "skip"}, "connect skip has no effect on a single layer; add --num-layers 2"),
        (
            {"connect": "highway", "num_layers": 2, "last_hidden_size": 64, "embedding_size": 64},
            "connect highway adds layers up, which must be of one width",
        ),
        (
            {"connect": "skip", "num_layers": 2},
            "tied embeddings need embedding_size = all layers together, not 512 and 1024",
        ),
        ({"embedding": "one-hot"}, "one-hot codes have no matrix to tie; add --no-tie-embeddings"),
        (
            {"embedding": "one-hot", "tie_embeddings": False},
            "one-hot codes are 100 wide; leave out embedding_size",
        ),
        (
            {
                "embedding": "one-hot",
                "tie_embeddings": False,
                "embedding_size": 100,
                "input_dropout": 0.1,
            },
            "input_dropout needs learned embeddings, not one-hot codes",
        ),
        ({"softmax": "sampled"}, "softmax must be one of full, adaptive, not 'sampled'"),
        ({"softmax_cutoffs": (5,)}, "softmax_cutoffs have no effect on a full softmax"),
    ],
)
def test_settings_that_cannot_be_or_have_no_effect_are_one_clear_line(given, said):
    with pytest.raises(ConfigError) as error:
        ModelConfig(vocab_size=100, **given)

    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)
