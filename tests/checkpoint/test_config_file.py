import json
from dataclasses import asdict, fields

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


def test_an_older_configuration_keeps_its_line_endings(tmp_path):
    path = tmp_path / "config.json"
    corpus = json.loads(CONFIG.to_json())["corpus"]
    del corpus["line_endings"]
    write(path, corpus=corpus)

    assert read_config(path).corpus.line_endings == "lf"
    assert CONFIG.corpus.line_endings == "any"


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


LABELLED = {
    "corpus": asdict(
        CorpusConfig(paths=("a.tsv",), frame="document", labelled=True, independent_frames=True)
    ),
    "model": asdict(
        ModelConfig(vocab_size=13, hidden_size=8, embedding_size=8, label="both", num_labels=2)
    ),
    "labels": ["cat", "dog"],
    "label_counts": [3, 4],
}


def test_labels_come_back_as_they_were(tmp_path):
    path = tmp_path / "config.json"
    write(path, **LABELLED)

    config = read_config(path)

    assert (config.labels, config.label_counts) == (("cat", "dog"), (3, 4))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": ["cat", 7]}, "labels must be a list, each a text"),
        ({"labels": "catdog"}, "labels must be a list"),
        ({"labels": None}, "labels must be a list"),
        ({"labels": [["cat"], "dog"]}, "labels must be a list, each a text"),
        ({"labels": ["cat", "cat"]}, "must differ from each other"),
        ({"labels": ["cat", " "]}, "a label must be printable"),
        ({"labels": ["cat", "\x1b[31m"]}, "a label must be printable"),
        ({"labels": ["cat", "a=b"]}, "a label must be printable and without '='"),
        ({"labels": ["cat"]}, "1 names of labels, but the model has 2"),
        ({"labels": ["cat", "dog", "owl"]}, "3 names of labels, but the model has 2"),
        ({"labels": []}, "0 names of labels, but the model has 2"),
        ({"label_counts": [3]}, "a count for each of 2 labels"),
        ({"label_counts": [3, 4, 5]}, "a count for each of 2 labels"),
        ({"label_counts": [3, -4]}, "a count for each of 2 labels"),
        ({"label_counts": [3, 4.5]}, "label_counts must be a list, each a whole number"),
        ({"label_counts": [3, 10**30]}, "label_counts must be a list, each a whole number"),
        ({"label_counts": {"cat": 3}}, "label_counts must be a list, each a whole number"),
        ({"corpus": asdict(CONFIG.corpus)}, "labelled is False, but there are 2 labels"),
    ],
)
def test_labels_that_do_not_fit_each_other_are_refused(tmp_path, changes, said):
    path = tmp_path / "config.json"
    write(path, **{**LABELLED, **changes})

    with pytest.raises(CheckpointError, match=said):
        read_config(path)


SECTIONS = [
    (None, CONFIG),
    ("text", CONFIG.text),
    ("corpus", CONFIG.corpus),
    ("model", CONFIG.model),
]
FIELDS = [(section, field.name) for section, kind in SECTIONS for field in fields(kind)]
WRONG = [{"a": 1}, [[1]], 10**30, [None], "\x1b[31m", "x" * 5000]


@pytest.mark.parametrize(("section", "name"), FIELDS)
def test_every_field_is_checked_by_its_type(tmp_path, section, name):
    path = tmp_path / "config.json"
    content = json.loads(CONFIG.to_json())
    for value in WRONG:
        changed = content[section] | {name: value} if section else value
        write(path, **{section or name: changed})

        with pytest.raises(CheckpointError, match="does not hold a charlm configuration") as error:
            read_config(path)

        assert "\n" not in str(error.value)
        assert len(str(error.value)) - len(str(path)) < 250


@pytest.mark.parametrize("section", ["text", "corpus", "model"])
@pytest.mark.parametrize("value", [None, 7, [], ""])
def test_a_section_that_is_no_table_is_refused(tmp_path, section, value):
    path = tmp_path / "config.json"
    write(path, **{section: value})

    with pytest.raises(CheckpointError, match="expected a table of settings"):
        read_config(path)


def test_a_frame_that_was_never_chosen_is_refused(tmp_path):
    path = tmp_path / "config.json"
    write(path, corpus=asdict(CONFIG.corpus) | {"frame": None})

    with pytest.raises(CheckpointError, match="frame must be one that was chosen"):
        read_config(path)


def test_half_a_surrogate_pair_is_damage(tmp_path):
    path = tmp_path / "config.json"
    write(path, charlm_version="\ud800")

    with pytest.raises(CheckpointError, match="damaged"):
        read_config(path)
