"""Characters: exact round trips, ids by frequency, unseen characters as <other>."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.text.chars import CharTokenizer, code_points, count_chars

any_texts = st.lists(st.text(), min_size=1, max_size=4)


@given(texts=any_texts, data=st.data())
@settings(max_examples=60)
def test_texts_over_the_trained_characters_come_back_exactly(texts, data):
    tokenizer = CharTokenizer.build(texts)
    seen = sorted(set("".join(texts)))
    text = data.draw(st.lists(st.sampled_from(seen)).map("".join)) if seen else ""

    ids = tokenizer.encode(text)

    assert tokenizer.decode(ids) == text
    assert len(ids) == len(text)
    assert tokenizer.other_id not in ids


@given(texts=st.lists(st.text(alphabet="ab\n é朝\0"), min_size=1, max_size=4))
@settings(max_examples=60)
def test_ids_fall_with_frequency_and_ties_go_by_first_appearance(texts):
    counts = Counter("".join(texts))
    seen = list(counts)
    ranked = sorted(seen, key=lambda char: (-counts[char], seen.index(char)))

    tokenizer = CharTokenizer.build(texts)

    assert tokenizer.num_symbols == len(seen)
    assert [tokenizer.token(token) for token in range(len(seen))] == ranked


@given(texts=any_texts)
@settings(max_examples=60)
def test_characters_are_counted_in_order_of_first_appearance(texts):
    counts = count_chars(texts)

    assert list(counts.items()) == list(Counter("".join(texts)).items())


def test_characters_never_seen_are_other_and_are_named():
    tokenizer = CharTokenizer.build(["abab"])

    ids = tokenizer.encode("a☃b朝☃")

    other = tokenizer.other_id
    assert ids == [0, other, 1, other, other]
    assert tokenizer.decode(ids) == "a<other>b<other><other>"
    assert tokenizer.unknown("a☃b朝☃") == ["☃", "朝"]


def test_a_text_is_spelled_character_by_character():
    tokenizer = CharTokenizer.build(["abab"])

    assert tokenizer.spell("ba☃") == (1, 0, tokenizer.other_id)


def test_a_copied_decoder_decodes_alike():
    tokenizer = CharTokenizer.build(["ab"])
    decoder = tokenizer.decoder()
    decoder.push(0)

    copy = decoder.copy()

    assert [copy.push(1), copy.push(0), decoder.push(1)] == ["b", "a", "b"]
    assert copy.finish() == ""


def test_a_vocabulary_size_keeps_the_most_frequent_characters():
    tokenizer = CharTokenizer.build(["cccbba"], vocab_size=2)

    assert tokenizer.num_symbols == 2
    assert tokenizer.encode("cba") == [0, 1, tokenizer.other_id]


def test_a_literal_mark_in_the_text_is_its_characters():
    tokenizer = CharTokenizer.build(["<start> <stop> <other>"])

    ids = tokenizer.encode("<start>")

    assert len(ids) == 7
    assert tokenizer.decode(ids) == "<start>"


def test_line_ends_and_combining_characters_are_characters_of_their_own():
    text = "e\u0301\r\n👩\u200d🚀"
    tokenizer = CharTokenizer.build([text])

    ids = tokenizer.encode(text)

    assert len(ids) == len(text)
    assert tokenizer.decode(ids) == text


@given(text=st.text(alphabet=st.characters()))
@settings(max_examples=50)
def test_code_points_are_those_of_ord_even_of_lone_surrogates(text):
    codes = code_points(text)

    assert codes.tolist() == [ord(char) for char in text]
    assert codes.dtype == np.uint32
