import json

import pytest

from charlm.checkpoint import CheckpointConfig, Heldout, HeldoutPart, read_config
from charlm.checkpoint.config_file import seal
from charlm.data import CorpusConfig
from charlm.errors import CheckpointError
from charlm.model import ModelConfig
from charlm.text import TextConfig

CONFIG = CheckpointConfig(
    text=TextConfig(level="word", vocab_size=10, lowercase=True),
    corpus=CorpusConfig(paths=("a.txt", "b.txt"), split=(80, 10, 10), frame="line"),
    corpus_sha256="c0ffee",
    tokenizer_sha256="decade",
    model=ModelConfig(vocab_size=13, hidden_size=8, embedding_size=8),
    heldout=Heldout(
        valid=HeldoutPart(),
        test=HeldoutPart(num_bytes=3, num_pieces=1, sha256="bee", frames_sha256="ace"),
    ),
)


def write(path, **changes):
    content = json.loads(CONFIG.to_json()) | changes
    content.pop("sha256")
    path.write_text(json.dumps({**content, "sha256": seal(content)}))


def test_a_configuration_comes_back_as_it_was(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(CONFIG.to_json())

    assert read_config(path) == CONFIG


def test_any_flipped_bit_is_found_or_harmless(tmp_path):
    path = tmp_path / "config.json"
    content = CONFIG.to_json().encode()

    for position in range(len(content)):
        damaged = bytes([content[position] ^ 0x01])
        path.write_bytes(content[:position] + damaged + content[position + 1 :])
        try:
            assert read_config(path) == CONFIG  # white space, which means nothing
        except CheckpointError:
            continue


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"model_type": "gpt2"}', "\x00"])
def test_a_damaged_or_foreign_file_is_one_clear_line(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_text(content)

    with pytest.raises(CheckpointError, match=r"config\.json") as error:
        read_config(path)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format_version": 99}, "format 99"),
        ({"model": {"vocab_size": 3, "shape": 1}}, "unknown settings shape"),
        ({"model": {"vocab_size": "3"}}, "vocab_size must be a whole number"),
        ({"text": {"level": "sentence"}}, "level must be one of"),
        ({"corpus": {}}, "does not hold"),
        ({"extra": 1}, "does not hold"),
        ({"heldout": []}, "does not hold"),
        ({"heldout": {"valid": {}}}, "does not hold"),
        ({"heldout": {"valid": {}, "test": {}, "train": {}}}, "unknown settings train"),
        ({"heldout": {"valid": {}, "test": {"num_bytes": -1}}}, "must be 0 or more"),
        ({"heldout": {"valid": {}, "test": {"sha256": 1}}}, "sha256 must be a text"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, changes, said):
    path = tmp_path / "config.json"
    write(path, **changes)

    with pytest.raises(CheckpointError, match=said):
        read_config(path)


def test_a_folder_without_configuration_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        read_config(tmp_path / "config.json")
