"""tokenizer.json comes back as it went; what is damaged or foreign is refused."""

import json
from itertools import count

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models

from charlm.errors import TokenizerError
from charlm.text import TextConfig, build_tokenizer, load_tokenizer, parse_tokenizer
from charlm.text.loading import FIRST_WORD, describe
from charlm.untrusted import MAX_TOKENIZER_VALUES, has_more_values

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

    with pytest.raises(TokenizerError, match="symbol 'Z' of a byte is missing"):
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


def changed(name, change):
    """A tokenizer.json of a configuration after `change` of its content."""
    description = json.loads(build_tokenizer(CONFIGS[name], [TALE]).to_json())
    change(description)
    return json.dumps(description)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("value", [10**9, 2**63, -1, 0.5, True, "1", None, [], "taken"])
def test_ids_that_are_not_those_of_a_vocabulary_are_refused(name, value):
    def change(description):
        vocab = description["model"]["vocab"]
        first, second, *_ = sorted(vocab, key=vocab.get)
        vocab[first] = vocab[second] if value == "taken" else value

    with pytest.raises(TokenizerError, match="has the id"):
        parse_tokenizer(changed(name, change), "tokenizer.json")


PADDING = {"strategy": {"Fixed": 2**60}, "direction": "Right", "pad_to_multiple_of": None}
PADDING |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "x"}
TRUNCATION = {"direction": "Right", "max_length": 2**60, "strategy": "LongestFirst", "stride": 0}
ADDED = [{"id": 0, "content": "x", "single_word": False, "lstrip": False, "rstrip": False}]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("padding", PADDING),
        ("truncation", TRUNCATION),
        ("added_tokens", ADDED),
        ("normalizer", {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": "b"}),
        ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": "(a+)+$"}}),
        ("post_processor", None),
        ("decoder", {"type": "Fuse"}),
        ("mood", "good"),
    ],
)
def test_parts_that_charlm_does_not_write_never_reach_the_library(name, part, value, monkeypatch):
    def never(content):
        raise AssertionError("the library must not read it")

    monkeypatch.setattr(tokenizers.Tokenizer, "from_str", staticmethod(never), raising=False)
    content = changed(name, lambda description: description.update({part: value}))

    with pytest.raises(TokenizerError, match=r"tokenizer\.json .*(charlm|damaged)"):
        parse_tokenizer(content, "tokenizer.json")


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("part", ["model", "pre_tokenizer", "post_processor"])
def test_a_part_that_is_missing_is_one_clear_line(name, part):
    with pytest.raises(TokenizerError) as error:
        parse_tokenizer(changed(name, lambda content: content.pop(part)), "tokenizer.json")

    assert "\n" not in str(error.value) and len(str(error.value)) < 200


@pytest.mark.parametrize("part", ["vocab", "type", "merges"])
def test_a_model_without_one_of_its_parts_is_one_clear_line(part):
    with pytest.raises(TokenizerError) as error:
        parse_tokenizer(changed("bpe", lambda content: content["model"].pop(part)), "a.json")

    assert "\n" not in str(error.value)


@pytest.mark.parametrize("merge", ["abc", ["a"], ["a", 1], 7, None, ["never", "seen"], "a b c"])
def test_merges_that_are_no_pairs_of_symbols_are_refused(merge):
    content = changed("bpe", lambda description: description["model"]["merges"].insert(0, merge))

    with pytest.raises(TokenizerError, match="damaged"):
        parse_tokenizer(content, "tokenizer.json")


def test_merges_as_older_versions_of_the_library_wrote_them_are_read():
    def join(description):
        model = description["model"]
        model["merges"] = [" ".join(merge) for merge in model["merges"]]

    saved = build_tokenizer(CONFIGS["bpe"], [TALE])
    loaded = parse_tokenizer(changed("bpe", join), "tokenizer.json")

    assert loaded.to_json() == saved.to_json()


def test_what_is_off_may_be_left_out():
    def leave_out(description):
        for name in ("truncation", "padding", "added_tokens"):
            description.pop(name)

    assert parse_tokenizer(changed("word", leave_out), "tokenizer.json").level == "word"


def test_symbols_of_several_characters_are_not_characters():
    def change(description):
        vocab = description["model"]["vocab"]
        vocab["the"] = vocab.pop("t")

    with pytest.raises(TokenizerError, match="not one character"):
        parse_tokenizer(changed("char", change), "tokenizer.json")


def test_words_are_split_as_they_were_when_the_tokenizer_was_made():
    def change(description):
        description["pre_tokenizer"]["pattern"] = {"Regex": FIRST_WORD}

    tokenizer = parse_tokenizer(changed("word", change), "tokenizer.json")

    assert json.loads(tokenizer.to_json())["pre_tokenizer"]["pattern"] == {"Regex": FIRST_WORD}


GROWING = {"word": (1, 4), "bpe": (257, 263)}


@pytest.mark.parametrize(("level", "most"), [("word", 1_000_000), ("bpe", 250_000)])
def test_the_largest_vocabulary_that_can_be_asked_for_can_be_read(level, most):
    """Told from a small one: how many values a symbol takes, and how many the rest."""
    TextConfig(level=level, vocab_size=most)
    small, large = (
        build_tokenizer(TextConfig(level=level, vocab_size=size), [TALE]) for size in GROWING[level]
    )
    counts = [count_values(tokenizer.to_json()) for tokenizer in (small, large)]
    each = (counts[1] - counts[0]) / (large.num_symbols - small.num_symbols)

    assert counts[0] + each * most <= MAX_TOKENIZER_VALUES


def count_values(text):
    return next(most for most in count() if not has_more_values(text, most))


def test_other_parts_are_compared_without_the_symbols():
    backend = build_tokenizer(CONFIGS["bpe"], [TALE]).backend
    whole = json.loads(backend.to_str())

    described = describe(backend)

    assert described["model"] == whole["model"] | {"vocab": {}, "merges": []}
    assert described | {"model": whole["model"]} == whole == json.loads(backend.to_str())
