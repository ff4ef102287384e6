"""The memory that training takes, against tensors counted one by one."""

import numpy as np
import pytest
import torch

from charlm.cells import trains_in_bfloat16
from charlm.data import make_epochs
from charlm.device import autocast
from charlm.errors import ConfigError
from charlm.model import LanguageModel, ModelConfig
from charlm.training import Learner, TrainingConfig, prepare_run
from charlm.training.memory import check_memory, memory_bytes, num_parameters

SHAPES = [
    {},
    {"num_layers": 3},
    {"num_layers": 2, "hidden_size": 96, "last_hidden_size": 64},
    {"embedding_size": 24, "tie_embeddings": False},
    {"mogrifier_steps": 3},
    {"softmax": "adaptive", "softmax_cutoffs": (20, 60)},
    {"weight_dropout": 0.5, "embedding_dropout": 0.1, "input_dropout": 0.3},
]


def shape(**changes):
    return ModelConfig(
        **{"vocab_size": 100, "hidden_size": 64, "embedding_size": 64, "dropout": 0.0, **changes}
    )


def training(**changes):
    return TrainingConfig(**{"steps": 4, "batch_size": 4, "bptt": 8, "averaging": "none"} | changes)


def bytes_of(tensors):
    return sum(tensor.nbytes for tensor in tensors)


@pytest.mark.parametrize("tie_embeddings", [True, False])
@pytest.mark.parametrize("cell", ["rnn", "rnn-relu", "lstm", "gru"])
def test_parameters_are_those_of_the_built_model(cell, tie_embeddings):
    config = shape(cell=cell, num_layers=2, tie_embeddings=tie_embeddings)

    assert num_parameters(config) == sum(p.numel() for p in LanguageModel(config).parameters())


@pytest.mark.parametrize("changes", SHAPES, ids=str)
def test_parameters_of_every_shape_are_those_of_the_built_model(changes):
    config = shape(**changes)

    assert num_parameters(config) == sum(p.numel() for p in LanguageModel(config).parameters())


def test_a_model_larger_than_any_memory_is_counted_and_draws_no_random_numbers():
    before, size = torch.get_rng_state(), 10**6
    config = shape(vocab_size=size, hidden_size=size, embedding_size=size)

    assert num_parameters(config) == size**2 + size + 8 * (size**2 + size)
    assert memory_bytes(config, training()) > 4 * 9 * 10**12
    assert torch.get_rng_state().equal(before)


@pytest.mark.parametrize("averaging", ["none", "ema"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
def test_what_lasts_is_what_a_learner_and_its_copy_hold(optimizer, averaging):
    config = training(optimizer=optimizer, averaging=averaging, batch_size=1, bptt=1)
    tokens = np.arange(50, dtype=np.uint8)
    windows = make_epochs(tokens, batch_size=1, bptt=1, start_id=97, independent_frames=False)
    learner = Learner(LanguageModel(shape(hidden_size=128, embedding_size=128)), windows, config)
    learner.advance()

    weights = list(learner.model.parameters())
    counted = bytes_of(weights) + bytes_of(weight.grad for weight in weights)
    counted += bytes_of(learner.optimizer.tensors().values())
    counted += bytes_of(learner.average.tensors().values())
    # As it was at the last validation, and as it is copied and written when it is saved.
    counted += 3 * bytes_of(learner.tensors().values())

    estimate = memory_bytes(learner.model.config, config)
    if optimizer == "muon":  # keeps one number for a matrix's weight, two for the others'
        assert counted <= estimate <= 1.5 * counted
    else:
        assert estimate == pytest.approx(counted, rel=0.03)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "changes",
    [{}, {"num_layers": 2}, {"cell": "gru"}, {"cell": "rnn"}, {"mogrifier_steps": 2}],
    ids=str,
)
def test_a_window_takes_about_what_its_backward_pass_keeps_to_four_times_that_in_passing(
    changes, precision
):
    config = shape(vocab_size=20, hidden_size=128, embedding_size=128, **changes)
    if precision == "bfloat16" and not trains_in_bfloat16(config.cell, torch.device("cpu")):
        pytest.skip("no bfloat16 on this processor")
    long, short = (training(batch_size=16, bptt=bptt, precision=precision) for bptt in (32, 8))
    model = LanguageModel(config).train()

    kept = kept_for_backward(model, long) - kept_for_backward(model, short)
    estimated = memory_bytes(config, long) - memory_bytes(config, short)

    assert 0.8 * kept <= estimated <= 4 * kept


def kept_for_backward(model, config):
    """Bytes of all tensors that autograd holds after the forward pass of one window."""
    own = {weight.data_ptr() for weight in model.parameters()}
    held = {}

    def hold(tensor):
        held[tensor.untyped_storage().data_ptr()] = tensor  # kept, so that no address is used again
        return tensor

    tokens = torch.randint(20, (config.batch_size, config.bptt))
    with (
        torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor),
        autocast(model.device, config.precision),
    ):
        model.loss(tokens, tokens, model.initial_state(config.batch_size))
    return sum(t.untyped_storage().nbytes() for address, t in held.items() if address not in own)


@pytest.mark.parametrize(
    ("model", "run"),
    [
        ({"vocab_size": 200}, {}),
        ({"hidden_size": 128, "embedding_size": 128}, {}),
        ({"num_layers": 2}, {}),
        ({"mogrifier_steps": 2}, {}),
        ({"tie_embeddings": False}, {}),
        ({}, {"batch_size": 8}),
        ({}, {"bptt": 16}),
        ({}, {"optimizer": "adamw"}),
        ({}, {"averaging": "tail"}),
        ({}, {"precision": "float32"}),
    ],
    ids=str,
)
def test_memory_grows_with_each_thing_that_takes_some(model, run):
    least = {"optimizer": "sgd", "precision": "bfloat16"}

    assert memory_bytes(shape(**model), training(**least | run)) > memory_bytes(
        shape(), training(**least)
    )


@pytest.mark.parametrize("changes", [{"accumulation_steps": 8}, {"steps": 10**6}, {"seed": 7}])
def test_memory_does_not_grow_with_what_takes_none(changes):
    assert memory_bytes(shape(), training(**changes)) == memory_bytes(shape(), training())


def test_a_window_twice_as_long_or_of_twice_the_streams_takes_the_same():
    long, wide = training(bptt=64), training(batch_size=32)

    assert memory_bytes(shape(), long) == memory_bytes(shape(), wide)


@pytest.mark.parametrize("length", [{"steps": 3}, {"time": "2m"}])
def test_a_model_beyond_the_machines_memory_is_refused_before_it_is_built(
    tmp_path, monkeypatch, tale, length
):
    (tmp_path / "text.txt").write_text(tale[:3000])
    monkeypatch.delattr("charlm.model.language_model.LanguageModel.__init__")
    monkeypatch.setattr("charlm.training.prepare.total_memory", lambda device: 2**34)
    text = {"paths": (str(tmp_path / "text.txt"),)}
    given = {**text, "cell": "lstm", "hidden_size": 30_000, **length}
    with pytest.raises(ConfigError, match=r"least 107\.3 GiB to train, and this machine has 16\.0"):
        prepare_run(given, tmp_path / "run", torch.device("cpu"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
@pytest.mark.parametrize("averaging", ["none", "ema"])
def test_what_is_refused_needs_more_than_there_is(optimizer, averaging):
    config, given = shape(), training(optimizer=optimizer, averaging=averaging)
    numbers = {"adamw": 4, "sgd": 2, "muon": 3}[optimizer] + (averaging == "ema")
    least = num_parameters(config) * 4 * numbers

    check_memory(config, given, least)
    with pytest.raises(ConfigError, match="to train"):
        check_memory(config, given, least - 1)
    assert least < memory_bytes(config, given)
