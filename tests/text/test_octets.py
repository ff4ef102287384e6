"""Bytes: byte b is id b, and any file whatever comes back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from charlm.text.octets import ByteTokenizer, byte_symbols


@given(text=st.text())
@settings(max_examples=100)
def test_ids_are_the_bytes_of_utf8_and_the_text_comes_back(text):
    tokenizer = ByteTokenizer.build()

    ids = tokenizer.encode(text)

    assert ids == list(text.encode("utf-8"))
    assert tokenizer.decode(ids) == text


@given(octets=st.binary())
@settings(max_examples=100)
def test_bytes_that_are_not_utf8_come_back(octets):
    tokenizer = ByteTokenizer.build()

    text = tokenizer.decode(octets)

    assert text == octets.decode("utf-8", "surrogateescape")
    assert tokenizer.encode(text) == list(octets)


def test_there_are_256_symbols_and_three_marks():
    tokenizer = ByteTokenizer.build()

    assert (tokenizer.num_symbols, tokenizer.vocab_size) == (256, 259)


def test_a_character_is_shown_when_its_last_byte_has_come():
    decoder = ByteTokenizer.build().decoder()

    pieces = [decoder.push(byte) for byte in "é朝".encode()]

    assert pieces == ["", "é", "", "", "朝"]


def test_a_broken_character_is_told_at_the_end():
    decoder = ByteTokenizer.build().decoder()

    pieces = [decoder.push(byte) for byte in "朝".encode()[:2]]

    assert pieces == ["", ""]
    assert decoder.finish() == "\udce6\udc9c"


def test_a_copied_decoder_has_the_begun_character_to_itself():
    decoder = ByteTokenizer.build().decoder()
    first, *rest = "朝".encode()
    decoder.push(first)

    copy = decoder.copy()

    assert [decoder.push(byte) for byte in rest] == ["", "朝"]
    assert copy.finish() == "\udce6"


@given(text=st.text())
@settings(max_examples=60)
def test_a_text_is_spelled_in_bytes(text):
    assert bytes(ByteTokenizer.build().spell(text)) == text.encode()


@pytest.mark.parametrize(
    ("byte", "shown"), [(0x41, "A"), (0x20, " "), (0x00, r"\x00"), (0x7F, r"\x7f"), (0xE6, r"\xe6")]
)
def test_printable_ascii_is_shown_as_it_is_and_other_bytes_as_escapes(byte, shown):
    assert ByteTokenizer.build().token(byte) == shown


def test_symbols_are_the_table_of_the_byte_level_pre_tokenizer():
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    text = "".join(map(chr, range(0x800)))  # holds every byte that UTF-8 has below 0xe0

    ((symbols, _),) = splitter.pre_tokenize_str(text)

    assert [byte_symbols()[byte] for byte in text.encode()] == list(symbols)
    assert sorted(byte_symbols()) == sorted(pre_tokenizers.ByteLevel.alphabet())
