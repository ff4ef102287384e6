"""Scores of texts equal a loop over single tokens, whatever they are summed by."""

import math
import re
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from charlm.api import (
    Evaluator,
    score_files,
    score_minimal_pairs,
    score_text,
    segments,
    shades,
)
from charlm.data import MinimalPair
from charlm.errors import ConfigError, TextError

LEVELS = ["char", "byte", "bpe", "word"]
TEXT = 'The fox said: "Öl, 朝!"\r\n\n The  hen\tand the owl 👩‍👧 ate.\n'
SPACE = set(b" \t\n\r\v\f")


def loop(lm, text):
    """(nats, entropy, rank, ending) of each token of a text in one frame, one step a token."""
    tokenizer = lm.tokenizer
    tokens = [tokenizer.start_id, *tokenizer.encode(text), tokenizer.stop_id]
    ends = [tokenizer.stop_id]
    for token in range(tokenizer.num_symbols):
        octets = tokenizer.decode([token]).encode("utf-8", "surrogateescape")
        ends += [token] * (octets[0] in SPACE)
    rows, state = [], lm.model.initial_state(1)
    for token, target in pairwise(tokens):
        with torch.no_grad():
            logits, state = lm.model.step(torch.tensor([token]), state)
        p = logits[0].double().softmax(0).numpy()
        entropy = -(p * np.log(p)).sum()
        rank = 1 + (p > p[target]).sum()
        rows.append((-math.log(p[target]), entropy, rank, -math.log(p[ends].sum())))
    return rows


def framed(lm, **settings):
    return Evaluator(lm.checkpoint, **{"frame": "document", **settings})


@pytest.mark.parametrize("level", LEVELS)
def test_tokens_have_the_scores_of_a_loop_over_single_tokens(trained, level):
    lm = trained(level)

    found = list(score_text(framed(lm), TEXT))

    expected = loop(lm, TEXT)
    assert len(found) == len(expected)
    for token, (nats, entropy, rank, ending) in zip(found, expected, strict=True):
        assert token.nats == pytest.approx(nats, rel=1e-4, abs=1e-5)
        assert token.entropy == pytest.approx(entropy, rel=1e-4)
        assert token.rank == rank
        assert level == "word" or token.ending == pytest.approx(ending, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("frame", ["line", "paragraph", "document"])
@pytest.mark.parametrize("context", ["stream", "frame"])
def test_all_segments_add_up_to_what_an_evaluation_finds(trained, tmp_path, level, frame, context):
    path = tmp_path / "text.txt"
    path.write_bytes(TEXT.encode())
    evaluator = framed(trained(level), frame=frame, context=context)

    total = evaluator.evaluate_file(str(path)).evaluation.total_nats

    for by in ("token", "word", "sentence", "line"):
        rows = list(score_text(evaluator, TEXT, by))
        assert sum(row.nats for row in rows) == pytest.approx(total, rel=1e-6)
        ((name, tokens),) = score_files(evaluator, [str(path)], by)
        assert name == str(path)
        assert list(segments(tokens, evaluator.tokenizer, by, evaluator.framing)) == rows


@pytest.mark.parametrize("level", LEVELS)
def test_in_its_frame_alone_a_sentence_does_not_depend_on_what_came_before(trained, level):
    def last(text, context):
        evaluator = framed(trained(level), frame="line", context=context)
        *_, sentence = score_text(evaluator, text, "sentence")
        return sentence.nats

    assert last("The hen sat.\nThe fox ate.", "frame") == pytest.approx(
        last("The fox ate.", "frame")
    )
    assert last("The hen sat.\nThe fox ate.", "stream") != pytest.approx(
        last("The fox ate.", "stream"), rel=1e-4
    )


def test_sentences_and_lines_come_without_what_single_tokens_have(trained):
    evaluator = framed(trained("char"))

    (_, tokens), *_ = score_files(evaluator, [__file__], "line")
    token = next(tokens)

    assert (token.entropy, token.rank, token.ending) == (None, None, None)


def test_files_are_read_to_the_end_before_the_first_score(trained, tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("The fox.")
    bad.write_bytes(b"The owl.\n" * 300_000 + b"\xff")

    with pytest.raises(TextError, match="bad is not UTF-8"):
        score_files(framed(trained("char")), [str(good), str(bad)], "token")


@pytest.mark.parametrize(
    ("level", "text", "said"),
    [
        ("char", "", "the text is empty"),
        ("char", "ab\udcff", r"character 2 of the text is no text but '\\udcff'"),
        ("bpe", "\ud83d", "character 0"),
        ("byte", "ab\ud83d", "character 2"),
    ],
)
def test_a_text_that_cannot_be_scored_is_refused_at_once(trained, level, text, said):
    with pytest.raises(TextError, match=said):
        score_text(framed(trained(level)), text)


@pytest.mark.parametrize("by", ["foo", "", None, ["word"]])
def test_rows_that_there_are_not_are_refused_at_once(trained, by):
    said = f"by must be token, word, sentence or line, not {by!r}."

    with pytest.raises(ConfigError, match=re.escape(said)):
        score_text(framed(trained("char")), "a", by)
    with pytest.raises(ConfigError, match=re.escape(said)):
        trained("char").score("a", by=by)


@pytest.mark.parametrize("by", ["token", "word", "sentence", "line"])
def test_a_file_that_grows_while_it_is_scored_is_an_error(trained, tmp_path, by):
    path = tmp_path / "log"
    path.write_text("The fox.\n" * 3)
    evaluator = framed(trained("char"), frame="line")
    growing = Growing(evaluator, path)
    ((_, tokens),) = score_files(growing, [str(path)], by)

    with pytest.raises(TextError, match="the text changed while it was read; run it again"):
        list(segments(tokens, evaluator.tokenizer, by, evaluator.framing))


class Growing:
    """An evaluator whose file goes on once it is scored."""

    def __init__(self, evaluator, path):
        self.tokenizer, self.read_file = evaluator.tokenizer, evaluator.read_file
        self.framing = evaluator.framing
        self.evaluator, self.path = evaluator, path
        self.knows_word_ends = evaluator.knows_word_ends

    def token_scores(self, text, *, details):
        scores = list(self.evaluator.token_scores(text, details=details))
        with self.path.open("a") as file:
            file.write("The hen.\n")
        return iter(scores)


def test_a_byte_model_scores_any_bytes(trained):
    found = list(score_text(framed(trained("byte")), "a\udcff"))

    assert [token.token for token in found[:2]] == [97, 255]


def test_a_byte_order_mark_in_a_string_is_a_character(trained):
    found = list(score_text(framed(trained("char")), "\ufeffa"))

    assert [(token.char_start, token.char_end) for token in found] == [(0, 1), (1, 2), (2, 2)]


@pytest.mark.parametrize("by", ["token", "word"])
@pytest.mark.parametrize("frame", ["line", "document"])
@pytest.mark.parametrize("level", LEVELS)
def test_shades_in_a_row_are_the_text_with_its_surprisal(trained, level, frame, by):
    evaluator = framed(trained(level), frame=frame)
    tokens = list(score_text(evaluator, TEXT))

    found = list(shades(tokens, evaluator.tokenizer, by))

    assert all(shade.text for shade in found)
    shown = "".join(shade.text for shade in found)
    assert TEXT.startswith(shown)
    assert not TEXT[len(shown) :].strip()
    rows = segments(tokens, evaluator.tokenizer, by, evaluator.framing)
    total = sum(row.surprisal_bits for row in rows if not row.is_stop)
    assert sum(shade.bits or 0 for shade in found) == pytest.approx(total)
    unshaded = "".join(shade.text for shade in found if shade.bits is None)
    assert not unshaded.strip()


def test_the_bytes_of_one_character_are_one_shade(trained):
    evaluator = framed(trained("byte"))
    tokens = list(score_text(evaluator, "a朝b"))

    found = list(shades(tokens, evaluator.tokenizer, "token"))

    assert [shade.text for shade in found] == ["a", "朝", "b"]
    assert found[1].bits == pytest.approx(sum(token.surprisal_bits for token in tokens[1:4]))


@pytest.mark.parametrize("level", LEVELS)
def test_minimal_pairs_compare_the_probabilities_of_whole_sentences(trained, level):
    evaluator = trained(level).evaluator()
    pairs = [
        MinimalPair("The fox sat.", "Fox the sat.", "order"),
        MinimalPair("qqqq xzxz", "The fox.", "nonsense"),
        MinimalPair("The hen and the fox.", "The the and hen fox.", "order"),
    ]

    found = score_minimal_pairs(evaluator, pairs)

    good = evaluator.log_probs([pair.good for pair in pairs])
    bad = evaluator.log_probs([pair.bad for pair in pairs])
    assert list(found.groups) == ["order", "nonsense"]
    assert found.together.num_right == int((good > bad).sum())
    assert found.together.total_nats == pytest.approx(float((good - bad).sum()), rel=1e-5)
    assert level == "word" or found.groups["nonsense"].num_right == 0


def test_sentences_that_a_model_cannot_tell_apart_are_a_tie_whatever_the_rounding(trained):
    evaluator = trained("word").evaluator()
    rounded = SimpleNamespace(
        tokenizer=evaluator.tokenizer,
        log_probs=lambda texts: evaluator.log_probs(texts) + np.linspace(0, 1e-6, len(texts)),
    )
    pairs = [
        MinimalPair(f"The {good} sat by the fox.", f"The {bad} sat by the fox.")
        for good, bad in [("zzyzx", "qwrtp"), ("xyzzy", "plugh"), ("fox", "plugh")]
    ]

    for scorer in (evaluator, rounded):
        found = score_minimal_pairs(scorer, pairs)
        assert found.together.num_ties == 2
