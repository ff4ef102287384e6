import json
import shutil

import pytest
import torch

from charlm.checkpoint import load_checkpoint, load_state, read_config
from charlm.checkpoint.config_file import seal
from charlm.errors import CharlmError, CheckpointError, StorageError

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


def test_a_tokenizer_of_another_size_is_refused(folder):
    content = json.loads((folder / "config.json").read_text())
    content["model"]["vocab_size"] += 1
    content.pop("sha256")
    (folder / "config.json").write_text(json.dumps({**content, "sha256": seal(content)}))

    with pytest.raises(CheckpointError, match="tokens, but the model"):
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
