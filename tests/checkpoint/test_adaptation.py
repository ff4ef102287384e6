"""What was found out about a model is remembered for as long as its weights stay the same."""

import errno
import json
import os

import pytest
import torch

from charlm.checkpoint import read_adaptations, read_gradients, save_adaptation, save_gradients
from charlm.checkpoint.weights import write_tensors
from charlm.errors import CheckpointError, StorageError
from charlm.location import ADAPTATION, GRADIENTS, WEIGHTS

CACHE = {"cache": {"size": 2000, "flatness": 0.3, "weight": 0.16000000000000003}}
DYNAMIC = {"dynamic": {"learning_rate": 4e-4, "decay": 0.0, "bptt": 20}, "cache": None}
SIZES = {"head.weight": torch.rand(3, 4), "head.bias": torch.tensor([1e-9, 3e8, 0.0])}


@pytest.fixture
def folder(tmp_path):
    """A checkpoint that holds weights and nothing else."""
    write_weights(tmp_path, 1.0)
    return tmp_path


def write_weights(folder, value):
    write_tensors(folder / WEIGHTS, {"weight": torch.full((5,), value)})


def test_where_nothing_was_found_out_nothing_is_remembered(folder):
    assert read_adaptations(folder) == {}
    assert read_gradients(folder) is None


def test_settings_are_remembered_by_name(folder):
    save_adaptation(folder, "cache", CACHE)
    save_adaptation(folder, "dynamic", DYNAMIC)

    assert read_adaptations(folder) == {"cache": CACHE, "dynamic": DYNAMIC}


def test_what_is_saved_last_under_a_name_is_what_is_remembered(folder):
    save_adaptation(folder, "dynamic", DYNAMIC)
    save_adaptation(folder, "cache", {"cache": {"size": 1}})
    save_adaptation(folder, "cache", CACHE)

    assert read_adaptations(folder) == {"cache": CACHE, "dynamic": DYNAMIC}


def test_settings_of_other_weights_are_passed_over(folder):
    save_adaptation(folder, "cache", CACHE)

    write_weights(folder, 2.0)
    assert read_adaptations(folder) == {}

    write_weights(folder, 1.0)
    assert read_adaptations(folder) == {"cache": CACHE}


def test_saving_for_new_weights_forgets_those_of_the_old(folder):
    save_adaptation(folder, "cache", CACHE)
    write_weights(folder, 2.0)

    save_adaptation(folder, "dynamic", DYNAMIC)

    assert read_adaptations(folder) == {"dynamic": DYNAMIC}


def damage(content):
    """Texts that are not what was written, and what each may still hold."""
    whole = json.loads(content)
    yield "", {}
    yield content[: len(content) // 2], {}
    yield "[]", {}
    yield "{}", {}
    yield "null", {}
    yield "7", {}
    yield "[" * 100_000, {}
    yield '{"a": ' * 100_000, {}
    yield json.dumps({"settings": whole["settings"]}), {}
    yield json.dumps({"weights_sha256": whole["weights_sha256"]}), {}
    yield json.dumps({**whole, "weights_sha256": 7}), {}
    yield json.dumps({**whole, "settings": ["cache"]}), {}
    yield json.dumps({**whole, "settings": {"cache": 7, "dynamic": DYNAMIC}}), {"dynamic": DYNAMIC}


@pytest.mark.parametrize("number", range(13))
def test_a_damaged_file_is_passed_over_and_can_be_replaced(number, folder):
    save_adaptation(folder, "cache", CACHE)
    text, left = list(damage((folder / ADAPTATION).read_text()))[number]
    (folder / ADAPTATION).write_text(text)

    assert read_adaptations(folder) == left
    save_adaptation(folder, "cache", CACHE)

    assert read_adaptations(folder) == left | {"cache": CACHE}


def test_bytes_that_are_no_text_are_passed_over(folder):
    (folder / ADAPTATION).write_bytes(b"\xff\xfe\x00")

    assert read_adaptations(folder) == {}


def test_gradients_come_back_as_they_were(folder):
    save_gradients(folder, SIZES)

    found = read_gradients(folder)

    assert found.keys() == SIZES.keys()
    assert all(torch.equal(found[name], size) for name, size in SIZES.items())


def test_gradients_of_other_weights_are_passed_over(folder):
    save_gradients(folder, SIZES)

    write_weights(folder, 2.0)
    assert read_gradients(folder) is None

    write_weights(folder, 1.0)
    assert read_gradients(folder) is not None


def test_a_pipe_in_place_of_the_gradients_is_passed_over_and_replaced(folder):
    os.mkfifo(folder / GRADIENTS)

    assert read_gradients(folder) is None
    save_gradients(folder, SIZES)
    assert read_gradients(folder) is not None


def test_any_damage_to_the_gradients_is_found(folder):
    save_gradients(folder, SIZES)
    content = (folder / GRADIENTS).read_bytes()

    for place in (8, len(content) // 2, len(content) - 1):
        (folder / GRADIENTS).write_bytes(
            content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        )
        assert read_gradients(folder) is None
    (folder / GRADIENTS).write_bytes(content[:-1])
    assert read_gradients(folder) is None


def test_settings_and_gradients_do_not_touch_each_other_or_the_weights(folder):
    weights = (folder / WEIGHTS).read_bytes()

    save_gradients(folder, SIZES)
    save_adaptation(folder, "cache", CACHE)

    assert read_gradients(folder) is not None
    assert read_adaptations(folder) == {"cache": CACHE}
    assert (folder / WEIGHTS).read_bytes() == weights
    assert {path.name for path in folder.iterdir()} == {
        str(name) for name in (WEIGHTS, ADAPTATION, GRADIENTS)
    }


@pytest.mark.parametrize("kind", ["settings", "gradients"])
def test_a_full_disk_leaves_what_was_there(kind, folder, monkeypatch):
    save_adaptation(folder, "cache", CACHE)
    save_gradients(folder, SIZES)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(StorageError, match="disk is full"):
        patch.setattr("os.fsync", full)
        if kind == "settings":
            save_adaptation(folder, "dynamic", DYNAMIC)
        else:
            save_gradients(folder, {})

    assert read_adaptations(folder) == {"cache": CACHE}
    assert read_gradients(folder).keys() == SIZES.keys()


@pytest.mark.parametrize("value", ["much", None, [1], {"a": 1}, True, 10**30])
def test_settings_that_are_no_numbers_are_passed_over(folder, value):
    save_adaptation(folder, "dynamic", DYNAMIC)
    save_adaptation(folder, "cache", {"cache": {"size": value}})

    assert read_adaptations(folder) == {"dynamic": DYNAMIC}


SHAPES = {name: size.shape for name, size in SIZES.items()}


def test_gradients_that_fit_the_weights_are_taken(folder):
    save_gradients(folder, SIZES)

    assert read_gradients(folder, SHAPES).keys() == SIZES.keys()


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"head.bias": SIZES["head.bias"]}, r"head\.weight is missing"),
        ({**SIZES, "x": torch.ones(1)}, "it has x, which the model does not"),
        ({**SIZES, "head.bias": torch.ones(4)}, r"head\.bias has shape"),
        ({**SIZES, "head.bias": torch.ones(3).half()}, r"head\.bias is of float16"),
        ({**SIZES, "head.bias": torch.tensor([1, float("nan"), 1])}, r"head\.bias holds NaN"),
    ],
)
def test_gradients_that_do_not_fit_the_weights_are_named(folder, sizes, said):
    save_gradients(folder, sizes)

    with pytest.raises(CheckpointError, match=said):
        read_gradients(folder, SHAPES)
