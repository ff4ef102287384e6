import hashlib
import json
import math
import os
import shlex
import shutil

import pytest
import torch

from charlm.checkpoint import folder as folder_module
from charlm.checkpoint import load_checkpoint, load_state, read_config
from charlm.checkpoint.config_file import seal
from charlm.checkpoint.weights import read_tensors, write_tensors
from charlm.errors import CharlmError, CheckpointError, StorageError, TokenizerError

CPU = torch.device("cpu")


@pytest.fixture
def folder(train):
    return train(steps=4)


def test_the_folder_has_the_files_it_promises(folder):
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    assert names == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "recipe.toml",
        "metrics.jsonl",
        "README.md",
        "heldout/valid.txt.gz",
        "heldout/valid.frames.gz",
        "heldout/test.txt.gz",
        "heldout/test.frames.gz",
        "state/training.safetensors",
    }


def test_the_training_state_may_be_deleted(folder):
    shutil.rmtree(folder / "state")

    assert load_checkpoint(folder, CPU).model.config.hidden_size == 16
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        load_state(folder)


def test_tied_weights_are_stored_once(folder):
    content = (folder / "model.safetensors").read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])

    assert "body.embedding.weight" in header
    assert "head.projection.weight" not in header


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "foreign", "empty", "missing"])
def test_damage_to_any_file_is_one_clear_line(folder, name, damage):
    path = folder / name
    content = path.read_bytes()
    middle = len(content) // 2
    match damage:
        case "truncated":
            path.write_bytes(content[:middle])
        case "flipped":
            path.write_bytes(
                content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
            )
        case "foreign":
            path.write_bytes(b'{"version": "1.0", "model": {"type": "Unigram"}}')
        case "empty":
            path.write_bytes(b"")
        case "missing":
            path.unlink()

    with pytest.raises(CharlmError) as error:
        load_checkpoint(folder, CPU)

    assert "\n" not in str(error.value)
    assert name in str(error.value)


@pytest.mark.parametrize(
    "change",
    [{"hidden_size": 10**9, "embedding_size": 10**9}, {"num_layers": 10**9}, {"cell": "gru"}],
)
def test_weights_that_do_not_fit_are_refused_before_memory_is_taken(folder, change):
    content = json.loads((folder / "config.json").read_text())
    content["model"] |= change
    content.pop("sha256")
    (folder / "config.json").write_text(json.dumps({**content, "sha256": seal(content)}))

    with pytest.raises(CheckpointError, match="does not fit"):
        load_checkpoint(folder, CPU)


def test_a_tokenizer_of_another_size_is_refused_before_it_is_built(folder, monkeypatch):
    content = json.loads((folder / "config.json").read_text())
    content["model"]["vocab_size"] += 1
    content.pop("sha256")
    (folder / "config.json").write_text(json.dumps({**content, "sha256": seal(content)}))

    monkeypatch.delattr("charlm.text.loading.rebuild")
    with pytest.raises(TokenizerError, match="54 tokens, but the model beside it knows 55"):
        load_checkpoint(folder, CPU)


def test_an_existing_folder_is_never_overwritten(prepare):
    prepare("run")

    with pytest.raises(StorageError, match="--resume"):
        prepare("run")


def test_a_folder_is_complete_from_its_first_instant(prepare, tmp_path):
    folder = prepare("run").run.folder

    checkpoint = load_checkpoint(folder, CPU)

    assert checkpoint.config == read_config(folder / "config.json")
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def reseal(folder, **changes):
    """Change config.json behind its seal; `model` and the like are changed, not replaced."""
    content = json.loads((folder / "config.json").read_text())
    for name, value in changes.items():
        content[name] = content[name] | value if isinstance(value, dict) else value
    content.pop("sha256")
    (folder / "config.json").write_text(json.dumps({**content, "sha256": seal(content)}))


@pytest.mark.parametrize(
    "change",
    [
        {"mogrifier_steps": 10**9},
        {"transition_depth": 10**9},
        {"num_layers": 10**9},
        {"num_layers": 2, "mogrifier_steps": 10**6},
        {"num_layers": 2, "connect": "highway", "transition_depth": 2**40},
        {"hidden_size": 2**62, "embedding_size": 2**62},
        {"hidden_size": 2**40, "tie_embeddings": False},
        {"embedding_size": 2**62, "tie_embeddings": False},
        {"softmax": "adaptive", "softmax_cutoffs": [1, 2, 3]},
    ],
)
def test_sizes_are_compared_with_the_weights_before_anything_is_built(folder, change, monkeypatch):
    reseal(folder, model=change)

    def build(config):
        raise AssertionError("nothing may be built")

    monkeypatch.setattr(folder_module, "LanguageModel", build)
    with pytest.raises(CheckpointError, match=r"model\.safetensors does not fit config\.json"):
        load_checkpoint(folder, CPU)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_named(folder, value):
    tensors, text = read_tensors(folder / "model.safetensors")
    tensors["body.stack.layers.0.cell.weight_hh"][3, 5] = value
    write_tensors(folder / "model.safetensors", tensors, text)

    with pytest.raises(CheckpointError, match="weight_hh holds NaN or infinity"):
        load_checkpoint(folder, CPU)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int32, torch.bool])
def test_weights_of_another_type_are_refused(folder, dtype):
    tensors, text = read_tensors(folder / "model.safetensors")
    tensors["body.embedding.weight"] = tensors["body.embedding.weight"].to(dtype)
    write_tensors(folder / "model.safetensors", tensors, text)

    with pytest.raises(CheckpointError, match=r"embedding\.weight is of .*, not float32"):
        load_checkpoint(folder, CPU)


def test_weights_of_another_name_or_shape_are_named(folder):
    tensors, text = read_tensors(folder / "model.safetensors")
    bias = tensors.pop("head.projection.bias")
    write_tensors(folder / "model.safetensors", {**tensors, "head.bias": bias}, text)
    with pytest.raises(CheckpointError, match=r"head\.projection\.bias is missing"):
        load_checkpoint(folder, CPU)

    shaped = {**tensors, "head.projection.bias": bias.view(1, -1)}
    write_tensors(folder / "model.safetensors", shaped, text)
    with pytest.raises(CheckpointError, match=r"head\.projection\.bias has shape \(1, "):
        load_checkpoint(folder, CPU)


def test_a_tokenizer_that_is_not_utf8_is_one_clear_line(folder):
    content = b'{"model": "\xff"}'
    (folder / "tokenizer.json").write_bytes(content)
    reseal(folder, tokenizer_sha256=hashlib.sha256(content).hexdigest())

    with pytest.raises(CharlmError, match="cannot be read as a tokenizer"):
        load_checkpoint(folder, CPU)


def test_a_tokenizer_of_another_level_is_refused(folder):
    reseal(folder, text={"level": "word"})

    with pytest.raises(CheckpointError, match=r"of level char, but .* names level word"):
        load_checkpoint(folder, CPU)


def test_a_folder_of_the_name_of_a_temporary_one_is_not_touched(prepare, tmp_path):
    foreign = tmp_path / f".run.{os.getpid()}.tmp"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("not charlm's")

    folder = prepare("run").run.folder

    assert load_checkpoint(folder, CPU)
    assert [path.name for path in foreign.iterdir()] == ["notes.txt"]
    assert not (folder / "notes.txt").exists()


def test_commands_to_copy_are_quoted(prepare):
    folder = prepare("Dr. Jekyll's run").run.folder
    (folder / "state" / "training.safetensors").unlink()

    with pytest.raises(CheckpointError) as error:
        load_state(folder)

    command = str(error.value).split("`")[1]
    assert shlex.split(command) == ["charlm", "train", "--recipe", str(folder / "recipe.toml")]


def test_a_vocabulary_beyond_what_the_weights_can_hold_is_refused_before_it_is_read(
    folder, monkeypatch
):
    reseal(folder, model={"vocab_size": 10**9})
    monkeypatch.delattr("charlm.checkpoint.folder.parse_tokenizer")
    with pytest.raises(CheckpointError, match="too few for a vocabulary of 1,000,000,000"):
        load_checkpoint(folder, CPU)


def test_weights_of_fewer_bytes_than_an_output_layer_are_refused_before_the_vocabulary_is_read(
    folder, monkeypatch
):
    size = (folder / "model.safetensors").stat().st_size
    reseal(folder, model={"vocab_size": size // 4 + 1})
    monkeypatch.delattr("charlm.checkpoint.folder.parse_tokenizer")
    with pytest.raises(CheckpointError, match="too few for a vocabulary of"):
        load_checkpoint(folder, CPU)


def test_a_tokenizer_of_far_more_values_than_symbols_is_refused_before_it_is_parsed(folder):
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["more"] = [[]] * 20_000
    octets = json.dumps(content).encode()
    (folder / "tokenizer.json").write_bytes(octets)
    reseal(folder, tokenizer_sha256=hashlib.sha256(octets).hexdigest())
    with pytest.raises(TokenizerError, match=r"it has more than 10,\d+ values"):
        load_checkpoint(folder, CPU)
