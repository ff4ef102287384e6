"""Where in the text each token is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.text import TextConfig, build_tokenizer

TALE = 'The fox said: "Don\'t eat 3.14 moons!" The <unk> owl (old, naïve) ate the 朝 😀. <eos>\r\n'
CONFIGS = {
    "char": TextConfig(level="char"),
    "byte": TextConfig(level="byte"),
    "bpe": TextConfig(level="bpe", vocab_size=320),
    "word": TextConfig(level="word"),
    "lowercase": TextConfig(level="word", vocab_size=8, lowercase=True),
    "pretokenized": TextConfig(level="word", vocab_size=8, pretokenized=True),
    "lowercase pretokenized": TextConfig(
        level="word", vocab_size=8, lowercase=True, pretokenized=True
    ),
}
WORDS = [name for name in CONFIGS if CONFIGS[name].level == "word"]
FRAGMENTS = ["the", "The", "FOX", "fox's", "<unk>", "<UNK>", "x<unk>", "<eos>", "</s>", "<start>"]
FRAGMENTS += ["<other>", "<stop>", " ", "\n", "\r\n", "\t", "\xa0", "\x1c", "\x85", "\u2028", "."]
FRAGMENTS += [
    "3.14",
    "İ",
    "ΑΣ",
    "ß",
    "e\u0301",
    "naïve",
    "朝",
    "กำ",
    "한",
    "🇩🇪",
    "👩‍👧",
    "😀",
    "\0",
]
texts = st.text() | st.lists(st.sampled_from(FRAGMENTS)).map("".join)


@pytest.fixture(scope="module")
def tokenizers():
    return {name: build_tokenizer(config, [TALE] * 2) for name, config in CONFIGS.items()}


@pytest.mark.parametrize("name", CONFIGS)
@given(batch=st.lists(texts, max_size=4))
@settings(max_examples=40)
def test_the_ids_are_those_of_encode_batch_and_each_has_a_span_in_the_text(tokenizers, name, batch):
    encoded = tokenizers[name].encode_batch(batch)

    found = tokenizers[name].encode_spans(batch)

    assert [ids.tolist() for ids, _ in found] == [ids.tolist() for ids in encoded]
    for text, (ids, spans) in zip(batch, found, strict=True):
        assert ids.dtype == np.uint32
        assert (spans.dtype, spans.shape) == (np.int64, (len(ids), 2))
        assert all(0 <= start < end <= len(text) for start, end in spans.tolist())


@pytest.mark.parametrize("name", ["char", "byte", "bpe"])
@given(text=texts)
@settings(max_examples=60)
def test_spans_of_symbols_cover_the_text_in_order_without_gaps(tokenizers, name, text):
    ((_, spans),) = tokenizers[name].encode_spans([text])

    reached = 0
    for start, end in spans.tolist():
        assert start in (reached, reached - 1)  # a character may be several tokens
        assert end >= reached
        reached = end
    assert reached == len(text)


@pytest.mark.parametrize("name", ["byte", "bpe"])
@given(text=texts)
@settings(max_examples=60)
def test_a_span_holds_exactly_the_characters_its_bytes_are_of(tokenizers, name, text):
    tokenizer = tokenizers[name]
    owner = [index for index, character in enumerate(text) for _ in character.encode()]

    ((ids, spans),) = tokenizer.encode_spans([text])

    position = 0
    for token, (start, end) in zip(ids.tolist(), spans.tolist(), strict=True):
        octets = bytes(tokenizer.spellings()[token])
        owners = owner[position : position + len(octets)]
        assert (start, end) == (owners[0], owners[-1] + 1)
        position += len(octets)
    assert position == len(owner)


@given(octets=st.binary())
@settings(max_examples=60)
def test_a_byte_that_is_no_text_is_a_character_of_its_own(tokenizers, octets):
    text = octets.decode("utf-8", "surrogateescape")

    ((ids, spans),) = tokenizers["byte"].encode_spans([text])

    for (start, end), byte in zip(spans.tolist(), octets, strict=True):
        assert end == start + 1
        assert byte in text[start:end].encode("utf-8", "surrogateescape")
    assert bytes(ids.astype(np.uint8)) == octets


@pytest.mark.parametrize("name", WORDS)
@given(text=texts)
@settings(max_examples=80)
def test_the_span_of_a_word_is_the_word_and_what_is_between_is_white_space(tokenizers, name, text):
    tokenizer = tokenizers[name]

    ((ids, spans),) = tokenizer.encode_spans([text])

    reached = 0
    for token, (start, end) in zip(ids.tolist(), spans.tolist(), strict=True):
        assert start >= reached
        assert not text[reached:start].strip()
        reached = end
        if token < tokenizer.num_symbols:
            found = text[start:end]
            assert tokenizer.token(token) == (found.lower() if "lower" in name else found)
    assert not text[reached:].strip()


def test_written_marks_of_a_pretokenized_text_are_covered_whole(tokenizers):
    text = "the <unk> fox\n</s> <eos>  x<unk>"

    ((ids, spans),) = tokenizers["pretokenized"].encode_spans([text])

    assert [text[a:b] for a, b in spans.tolist()] == text.split()
    other, stop = tokenizers["pretokenized"].other_id, tokenizers["pretokenized"].stop_id
    assert ids[[1, 3, 4, 5]].tolist() == [other, stop, stop, other]


def test_letters_that_grow_in_lower_case_keep_their_places(tokenizers):
    text = "İİ the ΑΣ ate"

    ((_, spans),) = tokenizers["lowercase"].encode_spans([text])

    assert [text[a:b] for a, b in spans.tolist()] == ["İİ", "the", "ΑΣ", "ate"]


def test_known_spans():
    byte = build_tokenizer(TextConfig(level="byte"), [])

    ((_, spans),) = byte.encode_spans(["aé朝\udcffb"])

    places = [(0, 1), *[(1, 2)] * 2, *[(2, 3)] * 3, (3, 4), (4, 5)]
    assert spans.tolist() == [list(place) for place in places]


@pytest.mark.parametrize("name", CONFIGS)
def test_an_empty_text_has_no_spans(tokenizers, name):
    ((ids, spans),) = tokenizers[name].encode_spans([""])

    assert len(ids) == 0
    assert spans.shape == (0, 2)


def test_what_a_pretokenized_model_does_not_know_is_named_whole(tokenizers):
    assert tokenizers["pretokenized"].unknown("The <unk> hen <unk>") == ["<unk>", "hen"]
