"""Laws that hold for the tokenizers of every level."""

from itertools import pairwise

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.errors import StorageError
from charlm.text import START, STOP, TextConfig, build_tokenizer
from charlm.text.tokenizer import OTHER, by_frequency, symbol_table

TALE = 'The fox said: "Don\'t eat 3.14 moons!" The <unk> owl (old, naïve) ate the 朝. <eos>\r\n\0'
CONFIGS = {
    "char": TextConfig(level="char"),
    "byte": TextConfig(level="byte"),
    "bpe": TextConfig(level="bpe", vocab_size=280),
    "word": TextConfig(level="word"),
    "lowercase": TextConfig(level="word", vocab_size=8, lowercase=True),
    "pretokenized": TextConfig(level="word", vocab_size=8, pretokenized=True),
    "lowercase pretokenized": TextConfig(
        level="word", vocab_size=8, lowercase=True, pretokenized=True
    ),
}
FRAGMENTS = ["the", "The", "FOX", "moons", "<unk>", "<UNK>", "<eos>", "</s>", "<start>", "<stop>"]
FRAGMENTS += ["<other>", " ", "  ", "\n", "\r\n", "\t", '"', "'", ".", "3.14", "é", "朝", "☃", "\0"]
texts = st.text() | st.lists(st.sampled_from(FRAGMENTS)).map("".join)


@pytest.fixture(scope="module", params=CONFIGS)
def tokenizer(request):
    return build_tokenizer(CONFIGS[request.param], [TALE, TALE.lower()])


@pytest.fixture(scope="module")
def reloaded(tokenizer, tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(path)
    return tokenizers.Tokenizer.from_file(str(path))


@given(text=texts)
@settings(max_examples=60)
def test_hugging_face_encodes_the_same_from_the_saved_file_with_start_and_stop_around(
    tokenizer, reloaded, text
):
    ids = reloaded.encode(text).ids

    assert ids == [tokenizer.start_id, *tokenizer.encode(text), tokenizer.stop_id]


def test_start_stop_and_other_come_after_the_symbols(tokenizer):
    num_symbols = tokenizer.num_symbols

    specials = [tokenizer.token(num_symbols + i) for i in range(3)]

    assert specials == [START, STOP, OTHER]
    assert (tokenizer.start_id, tokenizer.stop_id) == (num_symbols, num_symbols + 1)
    assert (tokenizer.other_id, tokenizer.vocab_size) == (num_symbols + 2, num_symbols + 3)


@given(batch=st.lists(texts, max_size=5))
@settings(max_examples=20)
def test_a_batch_is_encoded_like_its_texts_one_by_one(tokenizer, batch):
    encoded = tokenizer.encode_batch(batch)

    assert [ids.tolist() for ids in encoded] == [tokenizer.encode(text) for text in batch]
    assert all(ids.dtype == np.uint32 for ids in encoded)


def test_an_empty_text_has_no_tokens(tokenizer):
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


@given(data=st.data())
@settings(max_examples=30)
def test_text_that_is_certain_never_changes_when_more_tokens_come(tokenizer, data):
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1)))
    decoder = tokenizer.decoder()

    certain = [""]
    for token in ids:
        certain.append(certain[-1] + decoder.push(token))

    whole = certain[-1] + decoder.finish()
    assert whole == tokenizer.decode(np.array(ids, dtype=np.uint32))
    assert all(longer.startswith(shorter) for shorter, longer in pairwise([*certain, whole]))


def test_decoders_do_not_share_what_they_remember(tokenizer):
    ids = [token for token in tokenizer.encode(TALE) if token != tokenizer.stop_id]
    half_way = tokenizer.decoder()
    for token in ids[: len(ids) // 2]:
        half_way.push(token)

    fresh = tokenizer.decoder()

    assert "".join(map(fresh.push, ids)) + fresh.finish() == tokenizer.decode(ids)


@given(data=st.data())
@settings(max_examples=30)
def test_a_copied_decoder_goes_on_from_there_by_itself(tokenizer, data):
    ids = st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=12)
    begun, one, other = data.draw(ids), data.draw(ids), data.draw(ids)
    original = tokenizer.decoder()
    text = "".join(map(original.push, begun))

    copy, copied_text = original.copy(), text

    for i in range(12):  # by turns
        text += "".join(map(original.push, one[i : i + 1]))
        copied_text += "".join(map(copy.push, other[i : i + 1]))
    assert text + original.finish() == tokenizer.decode(begun + one)
    assert copied_text + copy.finish() == tokenizer.decode(begun + other)


def test_a_decoder_may_be_copied_after_every_token(tokenizer):
    ids = [token for token in tokenizer.encode(TALE) if token != tokenizer.stop_id]

    decoder, text = tokenizer.decoder(), ""
    for token in ids:
        text += decoder.push(token)
        decoder = decoder.copy()

    assert text + decoder.finish() == tokenizer.decode(ids)


@given(text=texts)
@settings(max_examples=60)
def test_a_text_is_spelled_as_its_tokens_are(tokenizer, text):
    spellings = tokenizer.spellings()

    tokens = tokenizer.encode(text)

    assert len(spellings) == tokenizer.vocab_size
    assert tokenizer.spell(text) == sum((spellings[token] for token in tokens), ())


def test_different_symbols_are_spelled_differently(tokenizer):
    spellings = tokenizer.spellings()[: tokenizer.num_symbols]

    assert all(spellings)
    assert len(set(spellings)) == len(spellings)


def test_start_and_stop_are_silent(tokenizer):
    ids = [token for token in tokenizer.encode(TALE) if token != tokenizer.stop_id]

    text = tokenizer.decode([tokenizer.start_id, *ids, tokenizer.stop_id])

    assert text == tokenizer.decode(ids)


def test_every_token_has_a_printed_form(tokenizer):
    forms = [tokenizer.token(token) for token in range(tokenizer.vocab_size)]

    assert all(forms)
    assert len(set(forms)) == tokenizer.vocab_size


def test_saving_into_a_folder_that_is_not_there_is_a_storage_error(tokenizer, tmp_path):
    with pytest.raises(StorageError, match="missing"):
        tokenizer.save(tmp_path / "missing" / "tokenizer.json")


def test_symbols_are_numbered_in_their_order_and_then_the_marks():
    assert symbol_table("ab") == {"a": 0, "b": 1, START: 2, STOP: 3, OTHER: 4}


@given(counts=st.dictionaries(st.text(max_size=2), st.integers(1, 4)), limit=st.integers(0, 9))
@settings(max_examples=50)
def test_by_frequency_takes_the_most_frequent_and_among_equals_the_earliest(counts, limit):
    symbols = list(counts)

    ranked = sorted(symbols, key=lambda symbol: (-counts[symbol], symbols.index(symbol)))

    assert by_frequency(counts, limit) == ranked[:limit]
    assert by_frequency(counts, None) == ranked
