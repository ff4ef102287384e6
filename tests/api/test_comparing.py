"""Models side by side: what is compared, over what, and whether it may be."""

import math
import re
from pathlib import Path

import numpy as np
import pytest

import charlm
from charlm.api import Evaluator, NamedText, account, compare, split_as_text
from charlm.api.comparing import line_units, token_units
from charlm.errors import CheckpointError, TextError
from charlm.evaluation import token_surprisals

LEVELS = ["char", "word", "byte", "bpe"]


def bytes_of(text):
    return Path(text.path).read_bytes()


def lines_of(text):
    """With their line breaks; the last one may have none."""
    return re.findall(r"[^\n]*\n|[^\n]+", bytes_of(text).decode())


@pytest.fixture
def text(tmp_path, tale):
    """A text of several dozen paragraphs, some of one line and some of two."""
    words = tale.split()
    lines = [" ".join(words[i : i + 4]) + "\n" * (1 + i % 3) for i in range(0, 300, 4)]
    path = tmp_path / "text.txt"
    path.write_text("".join(lines))
    return NamedText(name="a text", path=str(path))


@pytest.fixture
def another_text(tmp_path):
    path = tmp_path / "another.txt"
    path.write_text("The naïve fox ☃\r\nsat\n\n\ndown, cold")
    return NamedText(name="another", path=str(path))


@pytest.fixture
def accounts(trained):
    """A function from levels to an account of some texts of the small model of each."""

    def read(texts, *levels, **terms):
        return [
            account(level, Evaluator(trained(level).checkpoint, **terms), texts) for level in levels
        ]

    return read


# -- accounts ---------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_an_account_holds_each_text_and_what_was_said_of_each_token(
    trained, accounts, text, another_text, level
):
    (found,) = accounts([text, another_text], level)

    evaluator = trained(level).evaluator()
    assert [each.text for each in found.measured] == ["a text", "another"]
    for named, measured, scores in zip(
        [text, another_text], found.measured, found.scores, strict=True
    ):
        alone = evaluator.evaluate_file(named.path)
        assert measured.evaluation == alone.evaluation
        assert sum(part.nats.sum() for part in scores) == alone.evaluation.total_nats
    assert found.together == evaluator.together(found.measured)


def test_an_account_of_a_split_is_of_the_models_own_tokens(trained):
    evaluator = trained("word").evaluator()

    found = account("words", evaluator, [], "valid")

    assert found.together == evaluator.evaluate_split("valid")
    assert sum(map(len, found.scores[0])) == found.together.evaluation.num_tokens


# -- differences ------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_a_model_does_not_differ_from_itself(accounts, text, level):
    first, same = accounts([text], level, level)

    found = compare(same, first, [text])

    for difference in (found.nats_per_token, found.bits_per_char):
        assert (difference.value, difference.low, difference.high) == (0, 0, 0)
        assert not difference.is_clear
    assert found.comparable and found.same_text


def test_a_difference_is_that_of_the_figures_and_lies_in_its_interval(train, accounts, text):
    other = charlm.load(train(steps=60, learning_rate=0.01)).checkpoint
    first = account("first", Evaluator(other), [text])
    second = account("second", Evaluator(charlm.load(train("longer")).checkpoint), [text])

    found = compare(second, first, [text])

    figures, others = (each.together.evaluation for each in (second, first))
    difference = found.nats_per_token
    assert difference.value == pytest.approx(figures.nats_per_token - others.nats_per_token)
    assert found.bits_per_char.value == pytest.approx(figures.bits_per_char - others.bits_per_char)
    assert difference.low < difference.value < difference.high
    assert difference.is_clear


@pytest.mark.parametrize("levels", [("char", "word"), ("bpe", "byte"), ("word", "bpe")])
def test_models_of_different_tokens_are_compared_by_bits_per_character_over_lines(
    accounts, text, another_text, levels
):
    texts = [text, another_text]
    first, second = accounts(texts, *levels)

    found = compare(second, first, texts)

    figures = [each.together.evaluation.bits_per_char for each in (second, first)]
    num_lines = sum(len(lines_of(each)) for each in texts)
    assert found.nats_per_token is None
    assert found.bits_per_char.value == pytest.approx(figures[0] - figures[1])
    assert (found.unit, found.num_units) == ("lines", num_lines)
    assert (found.comparable, found.same_text) == (False, True)


def test_seen_from_the_other_side_a_difference_has_the_other_sign(accounts, text):
    first, second = accounts([text], "char", "word")

    there, back = compare(second, first, [text]), compare(first, second, [text])

    found, turned = there.bits_per_char, back.bits_per_char
    assert (turned.value, turned.low, turned.high) == pytest.approx(
        (-found.value, -found.high, -found.low)
    )


def test_frames_are_drawn_anew_or_blocks_of_tokens_where_frames_are_few(accounts, text):
    paragraphs, documents = accounts([text], "word")[0], accounts([text], "char")[0]

    by_frame, by_block = (compare(each, each, [text]) for each in (paragraphs, documents))

    stop = paragraphs.evaluator.tokenizer.stop_id
    stops = sum(int((part.targets == stop).sum()) for part in paragraphs.scores[0])
    assert (by_frame.unit, by_frame.num_units) == ("frames", stops)
    num_blocks = math.ceil(documents.together.evaluation.num_tokens / 100)
    assert (by_block.unit, by_block.num_units) == ("blocks of 100 tokens", num_blocks)


@pytest.mark.parametrize("content", ["the fox", "the fox\n", "the fox\n" * 9], ids=repr)
def test_of_fewer_than_ten_lines_there_is_no_interval(accounts, tmp_path, content):
    (tmp_path / "line.txt").write_text(content)
    line = NamedText(name="line", path=str(tmp_path / "line.txt"))
    first, second = accounts([line], "char", "word")

    difference = compare(second, first, [line]).bits_per_char

    assert math.isfinite(difference.value)
    assert math.isnan(difference.low) and math.isnan(difference.high)
    assert not difference.is_clear


def test_of_ten_lines_there_is_one(accounts, tmp_path):
    (tmp_path / "lines.txt").write_text("the fox\nsat\n" * 5)
    lines = NamedText(name="lines", path=str(tmp_path / "lines.txt"))
    first, second = accounts([lines], "char", "word")

    found = compare(second, first, [lines])

    difference = found.bits_per_char
    assert found.num_units == 10
    assert difference.low <= difference.value <= difference.high


@pytest.mark.parametrize("terms", [{"context": "frame"}, {"frame": "line"}], ids=str)
def test_under_other_rules_figures_do_not_compare(accounts, text, terms):
    (first,), (second,) = accounts([text], "word"), accounts([text], "word", **terms)

    found = compare(second, first, [text])

    assert (found.comparable, found.same_text) == (False, True)


def test_of_what_is_not_the_same_text_to_both_nothing_compares(accounts, tmp_path):
    (tmp_path / "mark.txt").write_bytes(b"\xef\xbb\xbfthe fox\nsat")  # text to bytes alone
    mark = NamedText(name="mark", path=str(tmp_path / "mark.txt"))

    first, second, third = accounts([mark], "char", "byte", "word")

    assert not compare(second, first, [mark]).same_text
    assert compare(third, first, [mark]).same_text


def test_each_frame_is_a_unit_and_so_is_each_block(accounts, text):
    for level in ("word", "char"):
        (found,) = accounts([text], level)
        nats = np.concatenate([part.nats for part in found.scores[0]])
        targets = np.concatenate([part.targets for part in found.scores[0]])
        stops = np.flatnonzero(targets == found.evaluator.tokenizer.stop_id)
        ends = stops + 1 if level == "word" else [*range(100, len(nats), 100), len(nats)]

        sums, lengths, _ = token_units(found)

        assert sums == pytest.approx(np.diff(np.cumsum(nats)[np.array(ends) - 1], prepend=0))
        assert lengths.tolist() == np.diff(ends, prepend=0).tolist()


# -- lines ------------------------------------------------------------------------------------


def test_a_lines_nats_are_those_of_its_characters(accounts, text, another_text):
    (found,) = accounts([text, another_text], "char")

    nats, lengths = line_units(found, [text, another_text])

    expected, sizes = [], []
    for named, scores in zip([text, another_text], found.scores, strict=True):
        lines = lines_of(named)
        left = np.concatenate([part.nats for part in scores]).tolist()
        for line in lines[:-1]:
            expected.append(sum(left[: len(line)]))
            left = left[len(line) :]
            sizes.append(len(line))
        expected.append(sum(left))  # the rest, and <stop>
        sizes.append(len(lines[-1]))
    assert nats == pytest.approx(expected)
    assert lengths.tolist() == sizes


def test_a_lines_nats_are_those_of_its_words_and_of_the_ends_of_its_frames(accounts, text):
    (found,) = accounts([text], "word")
    tokenizer, pieces = found.evaluator.tokenizer, found.evaluator.read_file(text.path).pieces()

    nats, _ = line_units(found, [text])

    expected = np.zeros(len(nats))
    for token in token_surprisals(pieces, tokenizer, found.scores[0]):
        expected[token.line - 1] += token.nats
    assert nats == pytest.approx(expected)


@pytest.mark.parametrize("frame", ["line", "paragraph", "document"])
@pytest.mark.parametrize("level", LEVELS)
def test_lines_add_up_to_the_texts(accounts, text, another_text, level, frame):
    (found,) = accounts([text, another_text], level, frame=frame)

    nats, lengths = line_units(found, [text, another_text])

    assert nats.sum() == pytest.approx(found.together.evaluation.total_nats)
    assert lengths.sum() == found.together.evaluation.num_chars
    by_text = [
        line_units(account, [named]) for account, named in separate(found, text, another_text)
    ]
    assert np.concatenate([each for each, _ in by_text]).tolist() == nats.tolist()


def separate(found, *texts):
    """An account of several texts as one of each."""
    for number, named in enumerate(texts):
        yield account(found.name, found.evaluator, [named]), texts[number]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("content", "sizes"),
    [
        ("fox", [3]),
        ("fox\n", [4]),
        ("fox\nsat", [4, 3]),
        ("fox\nsat\n", [4, 4]),
        ("fox\r\n\r\n", [5, 2]),
        ("\n\nfox\n\n\n", [1, 1, 4, 1, 1]),
    ],
    ids=repr,
)
def test_a_line_break_at_the_end_of_a_text_begins_no_other_line(
    accounts, tmp_path, level, content, sizes
):
    (tmp_path / "lines.txt").write_bytes(content.encode())
    lines = NamedText(name="lines", path=str(tmp_path / "lines.txt"))
    (found,) = accounts([lines], level)

    nats, lengths = line_units(found, [lines])

    assert lengths.tolist() == sizes
    assert len(nats) == len(sizes)
    assert nats.sum() == pytest.approx(found.together.evaluation.total_nats)


# -- a split as a text ------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_a_split_as_a_text_is_what_was_encoded(trained, part):
    evaluator = trained("word").evaluator()

    with split_as_text(evaluator.checkpoint, part) as text:
        found = account("words", evaluator, [text])

    expected = evaluator.evaluate_split(part)
    assert found.together.evaluation == expected.evaluation
    assert found.together.fingerprint == expected.fingerprint
    assert text.name == f"the {part} split of {evaluator.checkpoint.folder}"


def test_a_split_as_a_text_is_kept_no_longer_than_needed(trained):
    with split_as_text(trained("char").checkpoint, "test") as text:
        pass

    assert not Path(text.path).exists()


def test_a_split_that_is_kept_needs_no_corpus(train, corpus):
    checkpoint = charlm.load(train()).checkpoint
    with split_as_text(checkpoint, "test") as text:
        before = bytes_of(text)
    corpus.unlink()

    with split_as_text(checkpoint, "test") as text:
        assert bytes_of(text) == before
    with pytest.raises(TextError, match="does not keep its training text"):
        split_as_text(checkpoint, "train").__enter__()


def test_bytes_that_are_no_text_stay_what_they_are(train, corpus, tmp_path):
    corpus.write_bytes(b"the fox \xff\xfe sat\n" * 200)
    checkpoint = charlm.load(train(level="byte")).checkpoint

    with split_as_text(checkpoint, "test") as text:
        found = bytes_of(text)

    assert corpus.read_bytes().endswith(found) and b"\xff" in found


def test_a_split_that_is_not_there_is_one_clear_line(train, corpus):
    checkpoint = charlm.load(train(split=(90.0, 10.0, 0.0), keep_text=False)).checkpoint
    with pytest.raises(TextError, match="has no test part; name a text with --text"):
        split_as_text(checkpoint, "test").__enter__()

    corpus.write_text("something else")
    with pytest.raises(CheckpointError, match="has changed since the model was trained"):
        split_as_text(checkpoint, "valid").__enter__()

    corpus.unlink()
    with pytest.raises(TextError, match=r"trained on is needed: .*tale\.txt does not exist"):
        split_as_text(checkpoint, "valid").__enter__()
