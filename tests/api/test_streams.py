"""The text as it becomes certain: whatever the tokens, it ends before the first stop string."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.api.streams import BackwardStream, ForwardStream, undecided
from charlm.decoding import DecodingConfig
from charlm.text import TextConfig, build_tokenizer
from charlm.text.chars import CharDecoder

MANY = settings(max_examples=200)
FEW = settings(max_examples=80)
TALE = 'The fox (old, naïve) said: "Eat the 朝, é!" The owl ate. "No", it said. ☃ 🚀\n' * 2
TOKENIZERS = {level: build_tokenizer(TextConfig(level=level), [TALE]) for level in ("char", "byte")}
TOKENIZERS["word"] = build_tokenizer(TextConfig(level="word"), [TALE])
TOKENIZERS["bpe"] = build_tokenizer(TextConfig(level="bpe", vocab_size=290), [TALE])

few_letters = st.text("ab", max_size=12)
pieces_of_text = st.lists(st.text("ab", max_size=4), max_size=8)
stop_strings = st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=3).map(tuple)


def stream_of(pieces, **config):
    """A stream that the tokens 0, 1, .. take through the pieces."""
    return ForwardStream(CharDecoder(pieces), DecodingConfig(**config))


def text_before(text, stops):
    """What stands before the stop string that is complete first, and whether there is one."""
    for end in range(len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            return text[: end - max(map(len, complete))], True
    return text, False


def certain_part(text, stops):
    """A text in which no stop string is complete, without what may be the beginning of one."""
    for start in range(len(text) + 1):
        if any(stop.startswith(text[start:]) for stop in stops):
            return text[:start]
    return text


@given(pieces=pieces_of_text, stops=stop_strings)
@MANY
def test_the_text_ends_before_the_stop_string_that_is_complete_first(pieces, stops):
    stream = stream_of(pieces, stop=stops)

    stopped = False
    for token in range(len(pieces)):
        stopped = stopped or stream.push(token)
    stream.finish()

    text, expected = text_before("".join(pieces), stops)
    assert stream.take() == text
    assert stream.stopped is stopped is expected


@given(pieces=pieces_of_text, stops=stop_strings)
@MANY
def test_what_is_certain_is_released_at_once_and_nothing_else(pieces, stops):
    stream = stream_of(pieces, stop=stops)

    released = ""
    for token, _ in enumerate(pieces):
        stopped = stream.push(token)
        released += stream.take()
        so_far = "".join(pieces[: token + 1])
        text, complete = text_before(so_far, stops)
        assert stopped is complete
        assert released == (text if complete else certain_part(so_far, stops))
        if stopped:
            break


@given(pieces=pieces_of_text, stops=stop_strings, data=st.data())
@MANY
def test_how_the_text_is_cut_into_tokens_changes_nothing(pieces, stops, data):
    text = "".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    others = [text[i:j] for i, j in zip([0, *cuts], [*cuts, len(text)], strict=True)]

    texts = []
    for cut in (pieces, others):
        stream = stream_of(cut, stop=stops)
        any(stream.push(token) for token in range(len(cut)))
        stream.finish()
        texts.append((stream.take(), stream.stopped))

    assert texts[0] == texts[1]


@given(pieces=pieces_of_text, stops=stop_strings, least=st.integers(0, 8))
@MANY
def test_a_stop_string_counts_from_the_last_of_the_fewest_tokens_on(pieces, stops, least):
    stream = stream_of(pieces, stop=stops, min_new_tokens=least)

    num_pushed = 0
    for token in range(len(pieces)):
        num_pushed += 1
        if stream.push(token):
            break
    stream.finish()

    head = pieces[: max(0, least - 1)]
    rest, stopped = text_before("".join(pieces[len(head) :]), stops)
    assert stream.take() == "".join(head) + rest
    assert stream.stopped is stopped
    assert not stopped or num_pushed >= least


class Letters:
    """A tokenizer of two letters."""

    def decode(self, ids):
        return "".join("ab"[i] for i in ids)


@given(text=few_letters, stops=stop_strings, least=st.integers(0, 8))
@MANY
def test_backward_text_is_the_mirror_image_of_forward_text(text, stops, least):
    forward = stream_of(list(text), stop=stops, min_new_tokens=least)
    mirrored = tuple(stop[::-1] for stop in stops)
    backward = BackwardStream(
        Letters(), (0, 1), DecodingConfig(stop=mirrored, min_new_tokens=least)
    )

    for place, letter in enumerate(text):
        stopped = forward.push(place)
        assert backward.push("ab".index(letter)) is stopped
        if stopped:
            break
    forward.finish()
    backward.finish()

    assert backward.take() == forward.take()[::-1]


@given(pieces=pieces_of_text)
@FEW
def test_without_a_stop_string_every_piece_comes_as_it_is(pieces):
    stream = stream_of(pieces)

    taken = []
    for token in range(len(pieces)):
        assert stream.push(token) is False
        taken.append(stream.take())
    stream.finish()

    assert taken == pieces
    assert stream.take() == ""


@pytest.mark.parametrize("level", TOKENIZERS)
@given(data=st.data())
@FEW
def test_texts_of_every_level_end_before_their_stop_string(level, data):
    tokenizer = TOKENIZERS[level]
    ids = data.draw(st.lists(st.integers(0, tokenizer.num_symbols - 1), max_size=20))
    whole = tokenizer.decode(ids)
    a, b = sorted(data.draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    stops = tuple({whole[a:b] or "fox", data.draw(st.sampled_from(["朝", "é!", " ", '"', "🚀\n"]))})
    stream = ForwardStream(tokenizer.decoder(), DecodingConfig(stop=stops))

    released = ""
    for token in ids:
        stopped = stream.push(token)
        released += stream.take()
        assert text_before(whole, stops)[0].startswith(released)
        if stopped:
            break
    stream.finish()

    text, complete = text_before(whole, stops)
    assert released + stream.take() == text
    assert stream.stopped is complete


def test_a_character_in_bytes_is_released_when_it_is_whole():
    stream = ForwardStream(TOKENIZERS["byte"].decoder(), DecodingConfig(stop=("é",)))

    taken = []
    for byte in "a朝éb".encode():
        if stream.push(byte):
            break
        taken.append(stream.take())

    assert taken == ["a", "", "", "朝", ""]
    assert stream.stopped


def test_a_stop_string_may_be_complete_only_when_a_broken_character_is_told():
    stream = ForwardStream(TOKENIZERS["byte"].decoder(), DecodingConfig(stop=("\udce6",)))
    stream.push(ord("a"))
    stream.push(0xE6)

    stream.finish()

    assert stream.take() == "a"
    assert stream.stopped


@given(begun=pieces_of_text, one=pieces_of_text, other=pieces_of_text, stops=stop_strings)
@FEW
def test_a_copy_goes_on_by_itself(begun, one, other, stops):
    stream = stream_of([*begun, *one, *other], stop=stops)
    any(stream.push(token) for token in range(len(begun)))

    released = stream.take()
    copy = stream.copy()

    ends = []
    for follower, first, rest in ((stream, 0, one), (copy, len(one), other)):
        tokens = range(len(begun) + first, len(begun) + first + len(rest))
        if not follower.stopped:
            any(follower.push(token) for token in tokens)
        follower.finish()
        ends.append((released + follower.take(), follower.stopped))
    assert ends == [text_before("".join([*begun, *rest]), stops) for rest in (one, other)]


def test_a_copy_has_the_begun_character_to_itself():
    stream = ForwardStream(TOKENIZERS["byte"].decoder(), DecodingConfig())
    first, second = "é".encode()
    stream.push(first)

    copy = stream.copy()
    copy.push(second)
    stream.finish()

    assert (copy.take(), stream.take()) == ("é", "\udcc3")


def test_what_was_taken_does_not_come_again():
    stream = stream_of(["a", "b"])

    stream.push(0)
    assert (stream.take(), stream.take()) == ("a", "")
    stream.push(1)
    assert stream.take() == "b"


@given(text=few_letters, stops=stop_strings)
@MANY
def test_undecided_is_the_longest_end_that_may_begin_a_stop_string(text, stops):
    text, _ = text_before(text, stops)

    assert text[: len(text) - undecided(text, stops)] == certain_part(text, stops)


@pytest.mark.parametrize(
    ("text", "stops", "length"),
    [
        ("", ("ab",), 0),
        ("x", ("ab",), 0),
        ("xa", ("ab",), 1),
        ("xab", ("abc", "b!"), 2),
        ("aaa", ("aaaa",), 3),
        ("aaab", ("aab!",), 3),
        ("x", ("y",), 0),
    ],
)
def test_undecided_counts_characters_at_the_end(text, stops, length):
    assert undecided(text, stops) == length
