"""Byte pairs: exact round trips on any text, frequent runs as one token."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.text.bpe import BpeTokenizer

TALE = "The quick brown fox jumps over the lazy dog, and the dog doesn't mind; 42 朝 naïve.\n" * 3


@pytest.fixture(scope="module")
def tokenizer():
    return BpeTokenizer.build([TALE], 300)


@given(text=st.text())
@settings(max_examples=100)
def test_every_text_comes_back_exactly_and_nothing_is_other(tokenizer, text):
    ids = tokenizer.encode(text)

    assert tokenizer.decode(ids) == text
    assert tokenizer.other_id not in ids
    assert tokenizer.unknown(text) == []


def test_the_vocabulary_has_the_size_that_was_asked_for(tokenizer):
    assert tokenizer.num_symbols == 300


def test_a_short_text_has_fewer_symbols_than_allowed():
    tokenizer = BpeTokenizer.build(["aa"], 300)

    assert tokenizer.num_symbols == 257
    assert len(tokenizer.encode("aa")) == 1


def test_the_256_bytes_come_before_the_merges(tokenizer):
    first = [tokenizer.token(token) for token in range(256)]

    every_byte = [bytes([byte]).decode("utf-8", "backslashreplace") for byte in range(256)]
    assert sorted(first) == sorted(every_byte)


def test_text_like_the_training_text_takes_fewer_tokens_than_bytes(tokenizer):
    assert len(tokenizer.encode(TALE)) < len(TALE.encode()) / 2


def test_tokens_in_a_row_are_the_text(tokenizer):
    text = "the lazy dog jumps"

    shown = [tokenizer.token(token) for token in tokenizer.encode(text)]

    assert "".join(shown) == text
    assert len(shown) < len(text)


def test_no_token_crosses_a_word_boundary(tokenizer):
    shown = [tokenizer.token(token).lstrip(" ") for token in range(tokenizer.num_symbols)]

    assert not any(" " in token for token in shown)


def test_a_character_is_shown_when_it_is_whole(tokenizer):
    text = "☃é🚀"
    decoder = tokenizer.decoder()

    pieces = [decoder.push(token) for token in tokenizer.encode(text)]

    assert "".join(pieces) == text
    assert all(piece.isprintable() for piece in pieces)


@given(data=st.data())
@settings(max_examples=60)
def test_tokens_in_a_row_spell_the_bytes_of_their_text(tokenizer, data):
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1)))
    spellings = tokenizer.spellings()

    octets = bytes(symbol for token in ids for symbol in spellings[token])

    assert octets.decode("utf-8", "surrogateescape") == tokenizer.decode(ids)


@given(text=st.text())
@settings(max_examples=60)
def test_a_text_is_spelled_in_bytes(tokenizer, text):
    assert bytes(tokenizer.spell(text)) == text.encode()


def test_bytes_that_are_not_utf8_are_spelled_as_they_were_read(tokenizer):
    text = b"a\xff\xe6\x9c".decode("utf-8", "surrogateescape")

    assert bytes(tokenizer.spell(text)) == b"a\xff\xe6\x9c"


def test_a_decoder_copied_inside_a_character_ends_it_by_itself(tokenizer):
    first, second = tokenizer.encode("☃")[:1], tokenizer.encode("☃")[1:]
    decoder = tokenizer.decoder()
    begun = "".join(map(decoder.push, first))

    copy = decoder.copy()

    assert (begun, decoder.finish()) == ("", "\udce2")
    assert "".join(map(copy.push, second)) + copy.finish() == "☃"


def test_the_same_text_gives_the_same_vocabulary():
    once, again = BpeTokenizer.build([TALE], 300), BpeTokenizer.build([TALE], 300)

    assert once.to_json() == again.to_json()
