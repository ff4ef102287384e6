"""Each token with its scores and its place."""

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.data import Framing
from charlm.errors import TextError
from charlm.evaluation import TokenScores, ending_tokens, find_line_ending, token_surprisals

FRAGMENTS = ["the", "The", "fox's", "<unk>", "<eos>", " ", "  ", "\n", "\n\n", "\r\n", "\t", "\xa0"]
FRAGMENTS += [".", "3.14", "İ", "e\u0301", "naïve", "朝", "กำ", "한", "👩‍👧", "😀", "\0", "zzz"]
FRAGMENTS += ["\r"]
texts = st.text() | st.lists(st.sampled_from(FRAGMENTS)).map("".join)
frames = st.sampled_from(["line", "paragraph", "document"])
SYMBOLS = ["char", "byte", "bpe"]
NAMES = [*SYMBOLS, "word", "lowercase", "pretokenized"]


@pytest.fixture(params=[8, 1 << 16], autouse=True, scope="module")
def piece_size(request):
    """Frames come in several pieces, or in one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("charlm.data.frames.MAX_PIECE", request.param)
        yield


@pytest.mark.parametrize("name", NAMES)
@given(text=texts, frame=frames, seed=st.integers(0, 99))
@settings(max_examples=12)
def test_each_token_has_the_scores_that_came_for_it(scored, name, text, frame, seed):
    given = scored(name, text, frame, seed)

    found = given.surprisals()

    def joined(field):
        return np.concatenate([getattr(chunk, field) for chunk in given.chunks]).tolist()

    assert [token.token for token in found] == joined("targets")
    for field in ("nats", "entropy", "rank", "ending"):
        assert [getattr(token, field) for token in found] == joined(field)
    for token in found:
        assert token.surprisal_bits == pytest.approx(token.nats / math.log(2))
        assert token.entropy_bits == pytest.approx(token.entropy / math.log(2))


@pytest.mark.parametrize("name", NAMES)
@given(text=texts, frame=frames)
@settings(max_examples=20)
def test_sources_in_a_row_are_the_text_and_end_where_their_tokens_end(scored, name, text, frame):
    found = scored(name, text, frame).surprisals()

    reached = ""
    for token in found:
        reached += token.source
        assert token.skipped + token.own == token.source
        assert token.char_end == len(reached)
        assert reached.endswith(token.own)
        assert name not in SYMBOLS or frame != "document" or not token.skipped
    assert text.startswith(reached)
    assert not text[len(reached) :].replace("<eos>", "").strip()


@pytest.mark.parametrize("name", NAMES)
@given(text=texts, frame=frames)
@settings(max_examples=20)
def test_spans_point_into_the_whole_text(scored, name, text, frame):
    given = scored(name, text, frame)
    tokenizer = given.tokenizer

    for token in given.surprisals():
        covered = text[token.char_start : token.char_end]
        assert token.is_stop == (token.token == tokenizer.stop_id)
        assert token.is_other == (token.token == tokenizer.other_id) == bool(token.num_other)
        if token.is_other:
            assert token.text == covered
        elif token.is_stop:
            assert token.text == "<stop>"
            assert covered in ("", "<eos>", "</s>")
        else:
            assert token.text == tokenizer.token(token.token)
            assert name in ("byte", "bpe") or token.text in (covered, covered.lower())


@pytest.mark.parametrize("name", NAMES)
@given(text=texts, frame=frames)
@settings(max_examples=20)
def test_lines_are_those_that_tokens_begin_in(scored, name, text, frame):
    for token in scored(name, text, frame).surprisals():
        endings = re.finditer(r"\r\n|\n|\r", text)
        line = 1 + sum(match.end() <= token.char_start for match in endings)
        if token.is_stop and token.line != line:  # the text of its frame ends with a line break
            assert token.line == line - 1
            assert text[: token.char_start].endswith(("\n", "\r"))
        else:
            assert token.line == line


@pytest.mark.parametrize("name", NAMES)
@given(text=texts, frame=frames)
@settings(max_examples=12)
def test_sentences_are_numbered_and_so_are_the_tokens_in_each(scored, name, text, frame):
    given = scored(name, text, frame)

    found = given.surprisals()
    stops = [token.is_stop for token in found]
    expected = [1 + sum(stops[:number]) for number in range(len(found))]
    assert not found or stops[-1]
    assert sum(stops) >= sum(piece.closes for piece in given.pieces)
    assert [token.sentence for token in found] == expected
    places = [expected[: i + 1].count(number) for i, number in enumerate(expected)]
    assert [token.place for token in found] == places


def test_a_written_end_of_a_sentence_ends_it_within_its_frame(scored):
    found = scored("pretokenized", "the fox <eos> </s>\n\nate </s> it", "paragraph").surprisals()

    rows = [(t.sentence, t.place, t.char_start, t.is_stop) for t in found]
    assert rows == [
        (1, 1, 0, False),
        (1, 2, 4, False),
        (1, 3, 8, True),
        (2, 1, 14, True),
        (3, 1, 18, True),
        (4, 1, 20, False),
        (4, 2, 24, True),
        (5, 1, 29, False),
        (5, 2, 31, True),
    ]


@pytest.mark.parametrize("name", SYMBOLS)
@given(text=texts)
@settings(max_examples=20)
def test_backslashes_that_spell_bytes_are_told_from_those_of_the_text(scored, name, text):
    given = scored(name, text + "\\朝")

    spelt = [token for token in given.surprisals() if token.spells_bytes]

    assert bool(spelt) == (name != "char")
    for token in spelt:
        alone = given.tokenizer.decode([token.token])
        assert re.search(r"\\x[0-9a-f]{2}", token.text)
        assert "\\" not in alone
    for token in given.surprisals():
        assert token.spells_bytes or token.text == "<stop>" or token.text == token.own


def test_known_places(scored):
    found = scored("word", "\n The zebra\n\nate. \n \nthe\n", "paragraph").surprisals()

    rows = [(t.sentence, t.place, t.line, t.char_start, t.char_end, t.text) for t in found]
    assert rows == [
        (1, 1, 2, 2, 5, "The"),
        (1, 2, 2, 6, 11, "zebra"),
        (1, 3, 2, 11, 11, "<stop>"),
        (2, 1, 4, 13, 16, "ate"),
        (2, 2, 4, 16, 17, "."),
        (2, 3, 4, 18, 18, "<stop>"),
        (3, 1, 6, 21, 24, "the"),
        (3, 2, 6, 24, 24, "<stop>"),
    ]
    assert [token.is_other for token in found].count(True) == 1


def test_the_end_of_a_text_is_on_its_last_line_though_a_line_break_ends_that(scored):
    found = scored("char", "The\n\nfox\n").surprisals()

    assert [token.line for token in found] == [1, 1, 1, 1, 2, 3, 3, 3, 3, 3]
    assert (found[-1].text, found[-1].char_start) == ("<stop>", 9)


def test_an_empty_line_of_a_pretokenized_text_is_a_sentence_on_its_own_line(scored):
    found = scored("pretokenized", "the fox\n\nate\n", "line").surprisals()

    assert [token.line for token in found if token.is_stop] == [1, 2, 3]
    assert [token.char_start for token in found if token.is_stop] == [7, 8, 12]


def test_scores_without_details_leave_them_out(scored):
    found = scored("char", "The fox", details=False).surprisals()

    assert {(t.entropy, t.entropy_bits, t.rank, t.ending) for t in found} == {(None,) * 4}


def test_scores_of_another_text_are_not_taken(scored):
    given, other = scored("char", "The fox"), scored("char", "The fix")

    fewer = [chunk for chunk in given.chunks if len(chunk)][:-1]
    for chunks in (other.chunks, [*given.chunks, *other.chunks], fewer, []):
        with pytest.raises(TextError, match="the text changed while it was read; run it again"):
            list(token_surprisals(given.pieces, given.tokenizer, chunks))


def test_neither_text_nor_scores_are_read_further_than_needed(scored):
    given = scored("char", "The fox ate the moon.\n" * 30)
    read = []

    def watched():
        for chunk in given.chunks:
            for place in range(len(chunk)):
                read.append(place)
                yield TokenScores(
                    targets=chunk.targets[place : place + 1], nats=chunk.nats[place : place + 1]
                )

    tokens = token_surprisals(given.pieces, given.tokenizer, watched())
    for count in range(1, 9):
        next(tokens)
        assert len(read) == count


@pytest.mark.parametrize("name", SYMBOLS)
def test_a_word_ends_before_all_tokens_that_begin_with_white_space_and_before_stop(
    text_tokenizers, name
):
    tokenizer = text_tokenizers[name]

    found = ending_tokens(tokenizer)

    symbols = range(tokenizer.num_symbols)
    if name == "char":
        expected = [token for token in symbols if tokenizer.token(token) in set(" \t\n\r\v\f")]
    else:
        spellings = tokenizer.spellings()
        expected = [token for token in symbols if bytes(spellings[token])[:1].isspace()]
    assert list(found) == [*expected, tokenizer.stop_id]
    assert set(found) > {tokenizer.encode(" ")[0], tokenizer.encode("\n")[0]}
    assert name != "bpe" or tokenizer.encode(" fox")[0] in found


def test_no_word_of_a_word_model_begins_with_white_space(text_tokenizers):
    tokenizer = text_tokenizers["word"]

    assert ending_tokens(tokenizer) == (tokenizer.stop_id,)


def test_where_frames_do_not_know_a_lone_return_lines_do_not():
    for endings, split, lines in (("any", False, 2), ("lf", False, 1), ("any", True, 1)):
        framing = Framing(frame="line", line_endings=endings, pretokenized=split)

        assert len(find_line_ending(framing).split("a\rb\r\n")) == lines + 1
