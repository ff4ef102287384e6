"""Sums of surprisal over words, sentences and lines."""

import math
import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.data import Framing, frame_pieces, join_frames
from charlm.evaluation import (
    TokenScores,
    by_line,
    by_sentence,
    by_word,
    ending_tokens,
    token_surprisals,
)
from charlm.text import TextConfig, build_tokenizer

FRAGMENTS = ["the", "The", "fox's", "<unk>", " ", "  ", "\n", "\n\n", "\r\n", "\t", "\v", "\xa0"]
FRAGMENTS += [".", "3.14", "İ", "e\u0301", "naïve", "朝", "กำ", "한", "👩‍👧", "😀", "\0", "zzz"]
texts = st.text() | st.lists(st.sampled_from(FRAGMENTS)).map("".join)
frames = st.sampled_from(["line", "paragraph", "document"])
SYMBOLS = ["char", "byte", "bpe"]
NAMES = [*SYMBOLS, "word", "lowercase", "pretokenized"]
SPACE = " \t\n\r\v\f"


@pytest.fixture(params=[8, 1 << 16], autouse=True, scope="module")
def piece_size(request):
    """Frames come in several pieces, or in one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charlm.data.frames.MAX_PIECE", request.param)
        yield


def words_of(given):
    return list(by_word(given.surprisals(), given.tokenizer))


@pytest.mark.parametrize("name", NAMES)
@given(text=texts, frame=frames, seed=st.integers(0, 99))
@settings(max_examples=12)
def test_any_segments_add_up_to_the_whole_text(scored, name, text, frame, seed):
    given = scored(name, text, frame, seed)
    tokens = given.surprisals()

    for segments in (words_of(given), list(by_sentence(tokens)), list(by_line(tokens))):
        assert sum(each.nats for each in segments) == pytest.approx(given.total, abs=1e-9)
        assert sum(each.num_tokens for each in segments) == len(tokens)
        assert sum(each.num_other for each in segments) == sum(t.is_other for t in tokens)


@pytest.mark.parametrize("name", NAMES)
@given(text=texts, frame=frames)
@settings(max_examples=12)
def test_the_text_of_a_segment_stands_where_it_says_and_no_two_overlap(scored, name, text, frame):
    given = scored(name, text, frame)
    tokens = given.surprisals()

    for segments in (words_of(given), list(by_sentence(tokens)), list(by_line(tokens))):
        reached = 0
        for each in segments:
            assert reached <= each.char_start <= each.char_end
            assert each.text in (text[each.char_start : each.char_end], "<stop>")
            reached = each.char_end


@pytest.mark.parametrize("name", NAMES)
@given(text=texts, frame=frames)
@settings(max_examples=20)
def test_words_are_the_runs_without_white_space(scored, name, text, frame):
    given = scored(name, text, frame)

    found = [each.text for each in words_of(given) if each.text != "<stop>"]

    runs = re.findall(r"[^ \t\n\r\v\f]+", text)
    if name in SYMBOLS:
        assert found == runs
    else:  # a space of Unicode's is part of no token, and by itself no word
        bare = [re.sub(r"^\s+|\s+$", "", run) for run in runs]
        assert [re.sub(r"\s+$", "", each) for each in found] == [run for run in bare if run]


@pytest.mark.parametrize("name", NAMES)
@given(text=texts, frame=frames)
@settings(max_examples=12)
def test_each_sentence_has_its_words_in_order_and_then_its_end(scored, name, text, frame):
    given = scored(name, text, frame)

    words = words_of(given)

    for sentence in range(1, given.surprisals()[-1].sentence + 1 if words else 1):
        own = [each for each in words if each.sentence == sentence]
        assert [each.place for each in own] == list(range(1, len(own) + 1))
        assert [each.text == "<stop>" for each in own] == [False] * (len(own) - 1) + [True]


@pytest.mark.parametrize("name", NAMES)
@given(text=texts, frame=frames)
@settings(max_examples=12)
def test_sentences_and_lines_are_sums_over_the_tokens_in_them(scored, name, text, frame):
    given = scored(name, text, frame)
    tokens = given.surprisals()

    for segments, field in ((by_sentence(tokens), "sentence"), (by_line(tokens), "line")):
        found = [(each.place, each.nats, each.num_tokens) for each in segments]
        numbers = list(dict.fromkeys(getattr(token, field) for token in tokens))
        own = [[t for t in tokens if getattr(t, field) == number] for number in numbers]
        sums = [sum(token.nats for token in group) for group in own]
        assert found == [
            (number, pytest.approx(nats), len(group))
            for number, nats, group in zip(numbers, sums, own, strict=True)
        ]


@pytest.mark.parametrize("name", SYMBOLS)
def test_lines_of_a_document_are_the_lines_of_the_text(scored, name):
    text = "The fox\r\nate  \n the 朝 moon\n"

    found = list(by_line(scored(name, text).surprisals()))

    assert [(each.place, each.text) for each in found] == [
        (1, "The fox"),
        (2, "ate  "),
        (3, " the 朝 moon"),
    ]


@pytest.mark.parametrize("frame", ["line", "document"])
@pytest.mark.parametrize("name", SYMBOLS)
def test_a_lone_carriage_return_ends_a_line_as_it_ends_a_frame(scored, name, frame):
    found = list(by_line(scored(name, "The fox\rate\r\nthe moon\r", frame).surprisals()))

    assert [(each.place, each.text) for each in found][:3] == [
        (1, "The fox"),
        (2, "ate"),
        (3, "the moon"),
    ]


def test_a_line_in_which_no_token_begins_is_left_out_but_counted(scored):
    found = list(by_line(scored("word", "The fox\n\n\nate it", "line").surprisals()))

    assert [(each.place, each.sentence, each.text) for each in found] == [
        (1, 1, "The fox"),
        (4, 2, "ate it"),
    ]


@pytest.mark.parametrize("name", ["word", "pretokenized"])
def test_a_word_of_several_tokens_is_their_sum(scored, name):
    given = scored(name, "The zebra ate. Don't")
    tokens = given.surprisals()

    words = words_of(given)

    assert [each.text for each in words] == ["The", "zebra", "ate.", "Don't", "<stop>"]
    sizes = [1, 1, 2 if name == "word" else 1, 1, 1]
    assert [each.num_tokens for each in words] == sizes
    bounds = np.cumsum([0, *sizes])
    for each, begin, end in zip(words, bounds[:-1], bounds[1:], strict=True):
        assert each.nats == pytest.approx(sum(t.nats for t in tokens[begin:end]))
        single = tokens[begin] if end == begin + 1 else None
        assert each.entropy == (single and single.entropy)
        assert each.entropy_bits == (single and single.entropy_bits)
        assert each.rank == (single and single.rank)
        assert each.surprisal_bits == pytest.approx(each.nats / math.log(2))


def test_a_written_end_of_a_sentence_is_a_row_of_its_own_within_a_frame(scored):
    words = words_of(scored("pretokenized", "the fox <eos> ate it", "document"))

    assert [each.text for each in words] == ["the", "fox", "<stop>", "ate", "it", "<stop>"]
    assert [each.place for each in words] == [1, 2, 3, 1, 2, 3]
    assert [each.sentence for each in words] == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("frame", ["line", "paragraph", "document"])
@given(words=st.lists(st.sampled_from(["the", "fox", "<eos>", "</s>", "\n", "\n\n"])))
@settings(max_examples=40)
def test_words_make_up_the_sentence_whose_number_they_have(scored, frame, words):
    given = scored("pretokenized", " ".join(words), frame)
    tokens, rows = given.surprisals(), words_of(given)

    for each in (tokens, rows):
        places = [(row.sentence, row.place) for row in each]
        assert len(set(places)) == len(places)
    for sentence in by_sentence(tokens):
        own = [row for row in rows if row.sentence == sentence.sentence]
        assert sum(row.nats for row in own) == pytest.approx(sentence.nats)
        assert [row.text == "<stop>" for row in own] == [False] * (len(own) - 1) + [True]


def test_a_word_is_its_symbols_and_its_end_given_that_the_word_before_has_ended(scored):
    given = scored("char", "The  fox\n")
    nats = [token.nats for token in given.surprisals()]
    ending = [token.ending for token in given.surprisals()]

    the, fox, stop = words_of(given)

    # T h e _ _ f o x \n <stop>
    assert the.nats == pytest.approx(sum(nats[:3]) + ending[3])
    assert fox.nats == pytest.approx(sum(nats[3:8]) - ending[3] + ending[8])
    assert stop.nats == pytest.approx(sum(nats[8:]) - ending[8])
    assert (the.char_start, the.char_end, the.num_tokens) == (0, 3, 3)
    assert (fox.char_start, fox.char_end, fox.num_tokens) == (5, 8, 5)
    assert (stop.char_start, stop.char_end, stop.num_tokens) == (8, 9, 2)
    assert {each.rank for each in (the, fox, stop)} == {None}


def test_a_word_of_one_symbol_and_its_end_have_no_entropy_or_rank_of_one_token(scored):
    word, stop = words_of(scored("char", "a"))

    assert (word.num_tokens, word.entropy, word.entropy_bits, word.rank) == (1, None, None, None)
    assert (stop.num_tokens, stop.entropy, stop.entropy_bits, stop.rank) == (1, None, None, None)


def test_white_space_before_the_first_word_is_counted_whole(scored):
    given = scored("char", " \nfox")
    tokens = given.surprisals()

    fox, stop = words_of(given)

    assert fox.nats == pytest.approx(sum(t.nats for t in tokens[:5]) + tokens[5].ending)
    assert stop.nats == pytest.approx(tokens[5].nats - tokens[5].ending)


@pytest.mark.parametrize("text", ["", " \n "])
def test_a_sentence_without_words_is_one_row(scored, text):
    given = scored("char", f"{text}", "document") if text else scored("pretokenized", "\n", "line")

    (row,) = words_of(given)

    assert row.text == "<stop>"
    assert row.nats == pytest.approx(given.total)
    assert (row.rank is None) == (len(text) > 0)


def test_white_space_that_the_model_does_not_know_parts_words_and_ends_none(scored):
    given = scored("char", "the\tfox")
    tokens = given.surprisals()
    assert tokens[3].is_other

    the, fox, _ = words_of(given)

    assert the.nats == pytest.approx(sum(t.nats for t in tokens[:3]))
    assert fox.nats == pytest.approx(sum(t.nats for t in tokens[3:7]) + tokens[7].ending)
    assert (the.text, fox.text, fox.num_other) == ("the", "fox", 1)


def test_a_byte_pair_that_holds_white_space_behind_something_else_stays_whole():
    wide = "\xa0 \xa0 \xa0\n\xa0 \xa0 \xa0"
    tokenizer = build_tokenizer(TextConfig(level="bpe", vocab_size=300), [wide * 9] * 9)
    text = "b" + "\xa0 \xa0 \xa0" * 3 + " a"
    assert any(" " in tokenizer.token(token)[1:] for token in tokenizer.encode(text))
    pieces = list(frame_pieces([text], Framing(frame="document")))
    targets = join_frames(pieces, tokenizer)[1:].astype(np.int64)
    nats = np.random.default_rng(0).exponential(3, len(targets))
    scores = TokenScores(targets=targets, nats=nats, ending=nats / 2)

    words = list(by_word(token_surprisals(pieces, tokenizer, [scores]), tokenizer))

    assert sum(each.nats for each in words) == pytest.approx(nats.sum())
    assert [words[-2].text, words[-1].text] == ["a", "<stop>"]
    assert all(text[each.char_start : each.char_end] == each.text for each in words[:-1])


class Unigrams:
    """A model whose every symbol is drawn without regard to the others."""

    def __init__(self):
        self.tokenizer = build_tokenizer(TextConfig(level="char"), ["ab \n"])
        self.probabilities = dict(zip("ab \n", (0.3, 0.2, 0.25, 0.05), strict=True))
        self.stop = 0.2
        self.end = 0.25 + 0.05 + 0.2

    def words(self, text):
        tokenizer = self.tokenizer
        targets = np.array([*tokenizer.encode(text), tokenizer.stop_id])
        nats = -np.log([*(self.probabilities[c] for c in text), self.stop])
        ending = np.full(len(nats), -math.log(self.end))
        scores = TokenScores(targets=targets, nats=nats, ending=ending)
        pieces = frame_pieces([text], Framing(frame="document"))
        return list(by_word(token_surprisals(pieces, tokenizer, [scores]), tokenizer))


def test_the_probabilities_of_all_words_add_up_to_one():
    model = Unigrams()
    assert ending_tokens(model.tokenizer)[-1] == model.tokenizer.stop_id
    longest = 7

    total = 0.0
    for length in range(1, longest + 1):
        for letters in product("ab", repeat=length):
            first, *_ = model.words("".join(letters))
            total += math.exp(-first.nats)

    rest = 0.5 ** (longest + 1)  # longer words; and half of all texts begin with no word at all
    assert total == pytest.approx(1 - 0.5 - rest)


def test_after_a_word_the_ways_to_go_on_add_up_to_one_given_that_it_has_ended():
    model = Unigrams()
    longest = 6

    nothing = math.exp(-model.words("ab")[1].nats)  # <stop> at once
    words = 0.0
    for length in range(1, longest + 1):
        for letters, space in product(product("ab", repeat=length), " \n"):
            words += math.exp(-model.words(f"ab{space}{''.join(letters)}")[1].nats)
    blank = model.words("ab ")[1], model.words("ab\n")[1]

    more_space = sum(math.exp(-each.nats) for each in blank) / model.stop * model.end
    rest = (0.25 + 0.05) / 0.5 * 0.5 ** (longest + 1)
    assert nothing + words + more_space + rest == pytest.approx(1)


def test_what_follows_a_word_does_not_change_its_surprisal():
    model = Unigrams()

    values = {round(model.words(text)[0].nats, 9) for text in ("ab", "ab a", "ab\n", "ab  bbb")}

    assert values == {round(-math.log(0.3 * 0.2 * model.end), 9)}
