"""tokenizer.json comes back as it went; what is damaged or foreign is refused."""

import json

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models

from charlm.errors import TokenizerError
from charlm.text import TextConfig, build_tokenizer, load_tokenizer, parse_tokenizer

TALE = 'The fox said: "Don\'t eat the <unk> moon!" <eos>\nThe naïve owl agreed, the fox not.\n'
CONFIGS = {
    "char": TextConfig(level="char"),
    "small char": TextConfig(level="char", vocab_size=5),
    "byte": TextConfig(level="byte"),
    "bpe": TextConfig(level="bpe", vocab_size=280),
    "word": TextConfig(level="word"),
    "lowercase": TextConfig(level="word", lowercase=True),
    "pretokenized": TextConfig(level="word", pretokenized=True),
    "lowercase pretokenized": TextConfig(level="word", lowercase=True, pretokenized=True),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_saving_and_loading_keeps_level_flags_and_ids(name, tmp_path):
    saved = build_tokenizer(CONFIGS[name], [TALE])
    saved.save(tmp_path / "tokenizer.json")

    loaded = load_tokenizer(tmp_path / "tokenizer.json")

    assert (type(loaded), loaded.level) == (type(saved), CONFIGS[name].level)
    assert loaded.pretokenized == CONFIGS[name].pretokenized
    assert loaded.to_json() == saved.to_json()
    for text in (TALE, TALE.upper(), "☃ unseen"):
        ids = saved.encode(text)
        assert loaded.encode(text) == ids
        assert loaded.decode(ids) == saved.decode(ids)


def test_byte_pairs_stay_byte_pairs_when_the_text_had_nothing_to_merge(tmp_path):
    saved = build_tokenizer(TextConfig(level="bpe"), ["a\nb\n"])
    saved.save(tmp_path / "tokenizer.json")

    loaded = load_tokenizer(tmp_path / "tokenizer.json")

    assert loaded.level == "bpe"
    assert loaded.encode("b\na") == saved.encode("b\na")


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "null", "a tale", '{"model": {"type": "BPE"}}']
)
def test_a_file_that_is_no_tokenizer_is_refused_by_name(content, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(TokenizerError, match=r"tokenizer\.json is damaged"):
        load_tokenizer(path)


@given(share=st.floats(0, 1, exclude_max=True))
@settings(max_examples=30)
def test_a_file_that_breaks_off_is_refused(share):
    content = build_tokenizer(TextConfig(), [TALE]).to_json()

    with pytest.raises(TokenizerError, match="tokens are damaged"):
        parse_tokenizer(content[: int(share * len(content))], "tokens are damaged;")


@pytest.mark.parametrize(
    "model",
    [
        models.BPE(),
        models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]),
        models.WordLevel({"<unk>": 0}, unk_token="<unk>"),
        models.WordLevel({"the": 0, "<s>": 1, "</s>": 2, "<unk>": 3}, unk_token="<unk>"),
        models.WordLevel({"<other>": 0, "<stop>": 1, "<start>": 2}, unk_token="<other>"),
        models.Unigram(),
    ],
)
def test_a_tokenizer_of_another_program_is_refused(model):
    content = tokenizers.Tokenizer(model).to_str()

    with pytest.raises(TokenizerError, match="not written by charlm"):
        parse_tokenizer(content, "tokenizer.json")


@pytest.mark.parametrize("level", ["byte", "bpe"])
def test_a_vocabulary_with_a_byte_replaced_is_refused(level):
    description = json.loads(build_tokenizer(TextConfig(level=level), [TALE]).to_json())
    vocab = description["model"]["vocab"]
    vocab["☃"] = vocab.pop("Z")  # a byte that is part of no merge

    with pytest.raises(TokenizerError):
        parse_tokenizer(json.dumps(description), "tokenizer.json")


def test_a_missing_file_is_an_error_that_says_how_to_make_one(tmp_path):
    with pytest.raises(TokenizerError, match="does not exist; make it with `charlm vocab build`"):
        load_tokenizer(tmp_path / "tokenizer.json")


def test_a_folder_cannot_be_read_as_a_tokenizer(tmp_path):
    with pytest.raises(TokenizerError, match="cannot be read"):
        load_tokenizer(tmp_path)


def test_a_file_that_is_not_utf8_cannot_be_read_as_a_tokenizer(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(b'{"model": "\xff"}')

    with pytest.raises(TokenizerError, match="cannot be read"):
        load_tokenizer(path)
