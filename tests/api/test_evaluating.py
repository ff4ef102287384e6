"""Texts by themselves and together, the terms of a figure, and sentences by their probability."""

import bz2
import gzip
import math
import shutil
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import charlm
from charlm.api import Evaluator
from charlm.checkpoint import save_weights
from charlm.errors import ConfigError, TextError
from charlm.evaluation import MEASURES, NetworkPredictor, Predictions

LEVELS = ["char", "word", "byte", "bpe"]
TEXTS = ("The fox sat down.\n\nIt was cold.\n", "A hen", "the the\nthe\n")
SENTENCES = ["The fox sat down.", "", "the the the", "a ☃ in the snow", "", "It was cold.", "cold"]


class Uniform:
    """Gives every token but `<start>` the same probability; one of them none, if it is named."""

    stride, max_rows = 1, None

    def __init__(self, vocab_size, never=None):
        self.log_prob, self.never = -math.log(vocab_size - 1), never

    def initial_state(self, batch_size):
        return None

    def predict(self, inputs, targets, state):
        log_probs = torch.full(targets.shape, self.log_prob, dtype=torch.float64)
        if self.never is not None:
            log_probs[targets == self.never] = -math.inf
        return Predictions(log_probs=log_probs, distribution=lambda: None), None

    def first_rows(self, state, count):
        return None

    def select_rows(self, state, rows):
        return None


@pytest.fixture
def write(tmp_path):
    """Write a text to a file; its path."""

    def write(text, name="text.txt"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


@pytest.fixture
def paths(write):
    return [write(text, f"{number}.txt") for number, text in enumerate(TEXTS)]


@pytest.fixture
def evaluator(trained):
    """A function from a level to what evaluates with the small model of that level."""
    return lambda level="char", **terms: Evaluator(trained(level).checkpoint, **terms)


# -- one text, several, a split ---------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_each_text_is_measured_as_if_alone_whatever_their_order(evaluator, paths, level):
    alone = {path: evaluator(level).evaluate_file(path) for path in paths}

    several = evaluator(level)

    for order in (paths, paths[::-1]):
        assert [several.evaluate_file(path) for path in order] == [alone[path] for path in order]


@pytest.mark.parametrize("level", LEVELS)
def test_texts_together_are_their_sums(evaluator, paths, level):
    measured = [evaluator(level).evaluate_file(path) for path in paths]

    found = evaluator(level).together(measured).evaluation

    for name in ("total_nats", "num_tokens", "num_other", "num_words", "num_chars", "num_bytes"):
        parts = [getattr(each.evaluation, name) for each in measured]
        assert getattr(found, name) == pytest.approx(math.fsum(parts))
    assert found.num_chars == sum(map(len, TEXTS))
    assert found.perplexity == pytest.approx(math.exp(found.total_nats / found.num_tokens))


def test_one_text_together_is_itself_and_none_is_a_mistake(evaluator, paths):
    measured = evaluator().evaluate_file(paths[0])

    assert evaluator().together([measured]) is measured
    with pytest.raises(TextError, match="nothing to evaluate; name a text"):
        evaluator().together([])


def test_where_all_is_equally_probable_perplexity_is_the_number_of_tokens(evaluator, paths):
    size = evaluator().tokenizer.vocab_size

    found = evaluator(predictor=Uniform(size)).evaluate_file(paths[0]).evaluation

    assert found.perplexity == pytest.approx(size - 1)
    assert found.standard_error == pytest.approx(0, abs=1e-6)


def test_a_split_is_measured_as_its_text_is(evaluator, write, tale):
    split = evaluator("word").evaluate_split("test")

    text = evaluator("word").evaluate_file(write(tale[-split.evaluation.num_chars :]))

    assert split.text == "its test split"
    assert (split.evaluation, split.fingerprint) == (text.evaluation, text.fingerprint)


def test_a_split_has_the_frames_it_was_encoded_with(evaluator):
    assert evaluator("word", frame="paragraph").evaluate_split("test")
    for part in ("train", "valid", "test"):
        with pytest.raises(ConfigError, match=f"named texts only, and the {part} split"):
            evaluator("word", frame="line").evaluate_split(part)


def test_what_was_said_of_each_token_is_kept_where_that_is_asked_for(evaluator, paths):
    kept = []

    measured = evaluator("word").evaluate_file(paths[0], kept)

    assert measured == evaluator("word").evaluate_file(paths[0])
    assert sum(len(part) for part in kept) == measured.evaluation.num_tokens
    assert sum(part.nats.sum() for part in kept) == measured.evaluation.total_nats


def test_scores_can_be_followed_as_they_come(trained, paths):
    followed = []

    def follow(scores, num_tokens, text):
        parts = []
        followed.append((text, num_tokens, parts))
        for part in scores:
            parts.append(part)
            yield part

    checkpoint, kept = trained("word").checkpoint, []
    evaluator = Evaluator(checkpoint, follow=follow)
    found = evaluator.evaluate_file(paths[0], kept)
    evaluator.with_predictor(NetworkPredictor(checkpoint.model)).evaluate_split("test")

    (text, num_tokens, parts), (split, _, _) = followed
    assert found == Evaluator(checkpoint).evaluate_file(paths[0])
    assert [id(part) for part in parts] == [id(part) for part in kept]
    assert found.evaluation.num_tokens == sum(map(len, parts)) <= num_tokens
    assert (text, split) == (paths[0], "its test split")


@pytest.mark.parametrize("level", LEVELS)
def test_token_scores_add_up_to_the_evaluation_with_details_and_without(evaluator, paths, level):
    found = evaluator(level).evaluate_file(paths[0]).evaluation

    for details in (False, True):
        part = evaluator(level).read_file(paths[0])
        scores = list(evaluator(level).token_scores(part, details=details))
        assert sum(len(each) for each in scores) == found.num_tokens
        assert sum(each.nats.sum() for each in scores) == pytest.approx(found.total_nats, rel=1e-6)
        assert all((each.rank is not None) == details for each in scores)
        ends_words = details and level != "word"
        assert all((each.ending is not None) == ends_words for each in scores)


def test_another_predictor_reads_in_the_same_way(evaluator, paths):
    first = evaluator("word", frame="line", context="frame")

    other = first.with_predictor(NetworkPredictor(first.checkpoint.model))

    assert other.evaluate_file(paths[0]) == first.evaluate_file(paths[0])


def test_frames_and_context_are_those_of_training_where_none_are_given(evaluator, train, paths):
    lines = charlm.load(train(level="word", frame="line", independent_frames=True)).checkpoint

    found = Evaluator(lines).evaluate_file(paths[2])

    assert found == Evaluator(lines, frame="line", context="frame").evaluate_file(paths[2])
    assert "rules:line-frame-" in found.fingerprint
    assert "rules:paragraph-stream-" in evaluator("word").evaluate_file(paths[2]).fingerprint


def test_of_a_frame_alone_equal_lines_are_equally_surprising(evaluator, write):
    once = evaluator("word", frame="line", context="frame").evaluate_file(write("the fox\n"))
    thrice = evaluator("word", frame="line", context="frame").evaluate_file(write("the fox\n" * 3))

    assert thrice.evaluation.total_nats == pytest.approx(3 * once.evaluation.total_nats, rel=1e-6)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the tale is empty; there is nothing to evaluate"),
        (" \n\n", "there is no token to predict in the tale; name a longer text"),
        (b"caf\xe9", "the tale is not UTF-8 at byte 3"),
    ],
)
def test_mistakes_in_a_text_call_it_by_its_name(evaluator, write, content, said):
    with pytest.raises(TextError, match=said) as error:
        evaluator("word").evaluate_file(write(content), name="the tale")

    assert "\n" not in str(error.value)


# -- fingerprints -----------------------------------------------------------------------------


def fingerprint(evaluator, path):
    return evaluator.evaluate_file(path).fingerprint


def test_the_measures_and_the_fingerprint_go_by_their_names(evaluator, paths):
    measured = evaluator().evaluate_file(paths[0])

    assert list(measured.to_dict()) == [*MEASURES, "fingerprint"]
    assert measured.to_dict()["perplexity"] == measured.evaluation.perplexity


def test_a_fingerprint_is_of_the_text_and_not_of_its_name_or_packing(evaluator, write):
    text = TEXTS[0].encode()
    packed = (write(gzip.compress(text), "b.gz"), write(bz2.compress(text), "c.txt.bz2"))

    found = {fingerprint(evaluator(), path) for path in (write(text, "a.txt"), *packed)}

    assert len(found) == 1


def test_a_fingerprint_is_not_of_the_weights_or_of_the_predictor(trained_folder, write, tmp_path):
    shutil.copytree(trained_folder("char"), tmp_path / "other")
    other = charlm.load(tmp_path / "other", "cpu")
    with torch.no_grad():
        other.model.head.projection.bias.add_(torch.arange(other.tokenizer.vocab_size))
    save_weights(tmp_path / "other", other.model)
    path, first = write(TEXTS[0]), charlm.load(trained_folder("char"), "cpu").evaluator()
    second = charlm.load(tmp_path / "other", "cpu").evaluator()

    assert first.evaluate_file(path).evaluation != second.evaluate_file(path).evaluation
    assert fingerprint(first, path) == fingerprint(second, path)
    uniform = first.with_predictor(Uniform(first.tokenizer.vocab_size))
    assert fingerprint(first, path) == fingerprint(uniform, path)


def test_a_fingerprint_changes_with_a_byte_the_vocabulary_the_frame_and_the_context(
    evaluator, write
):
    path = write(TEXTS[0])
    others = [
        fingerprint(evaluator("word"), write(TEXTS[0].replace("fox", "fix"), "one byte.txt")),
        fingerprint(evaluator("word"), write(TEXTS[0] + "\n", "one more.txt")),
        *(fingerprint(evaluator(level), path) for level in ("char", "byte", "bpe")),
        fingerprint(evaluator("word", frame="line"), path),
        fingerprint(evaluator("word", frame="document"), path),
        fingerprint(evaluator("word", context="frame"), path),
        fingerprint(evaluator("word", frame="line", context="frame"), path),
    ]

    assert len({fingerprint(evaluator("word"), path), *others}) == 1 + len(others)


def test_a_fingerprint_tells_vocabularies_of_one_size_apart(train, write, tmp_path):
    path, found = write(TEXTS[0]), []
    for number, words in enumerate(["fox hen cat ", "fox dog cat "]):
        corpus = write(words * 300, f"corpus {number}.txt")
        folder = train(str(number), paths=(corpus,), level="word")
        found.append(fingerprint(charlm.load(folder).evaluator(), path))

    assert found[0] != found[1]
    assert all(each.startswith("vocabulary:word-6-") for each in found)


def test_a_fingerprint_of_several_texts_depends_on_each_but_not_on_their_order(evaluator, paths):
    def together(chosen, level="char"):
        some = evaluator(level)
        return some.together([some.evaluate_file(path) for path in chosen])

    assert len({together(order).fingerprint for order in permutations(paths)}) == 1
    assert together(paths).fingerprint != together(paths[:2]).fingerprint
    assert together(paths[:1] * 2).fingerprint != together(paths[:1]).fingerprint
    assert together(paths).text_fingerprint == together(paths, "word").text_fingerprint


# -- sentences --------------------------------------------------------------------------------


@pytest.mark.parametrize("frame", ["line", "paragraph"])
def test_a_sentence_has_the_probability_of_a_frame_of_its_own(evaluator, write, frame):
    words = evaluator("word", frame=frame)

    for sentence, found in zip(SENTENCES, words.log_probs(SENTENCES), strict=True):
        if sentence:
            nats = words.evaluate_file(write(sentence)).evaluation.total_nats
            assert found == pytest.approx(-nats, rel=1e-6)


def test_an_empty_sentence_has_the_probability_of_the_end_after_the_beginning(evaluator):
    words = evaluator("word")
    start, stop = words.tokenizer.start_id, words.tokenizer.stop_id

    logits, _ = words.checkpoint.model.step(
        torch.tensor([start]), words.checkpoint.model.initial_state(1)
    )

    assert words.log_probs([""]) == pytest.approx(logits.log_softmax(-1)[0, stop].item(), rel=1e-6)


@pytest.mark.parametrize("level", ["char", "byte", "bpe"])
def test_within_a_document_line_breaks_are_a_sentences_ends(evaluator, level):
    lines = evaluator(level)
    model, tokenizer = lines.checkpoint.model, lines.tokenizer
    (line_break,) = tokenizer.encode("\n")

    for sentence, found in zip(SENTENCES, lines.log_probs(SENTENCES), strict=True):
        tokens = [tokenizer.start_id, line_break, *tokenizer.encode(sentence), line_break]
        logits, _ = model(torch.tensor([tokens[:-1]]), model.initial_state(1))
        log_probs = logits.log_softmax(-1)[0, range(len(tokens) - 1), tokens[1:]]
        assert found == pytest.approx(log_probs[1:].sum().item(), rel=1e-5)


def test_where_line_breaks_are_unknown_a_sentence_is_a_document(train, corpus, write, tale):
    corpus.write_text(" ".join(tale.split()))
    lm = charlm.load(train())

    nats = lm.evaluator().evaluate_file(write("The fox sat.")).evaluation.total_nats

    assert lm.log_probs(["The fox sat."]) == pytest.approx([-nats], rel=1e-6)


@settings(max_examples=25)
@given(st.lists(st.text("the fox,\n", max_size=12), max_size=12), st.sampled_from(LEVELS))
def test_a_sentences_probability_does_not_depend_on_the_others(trained, sentences, level):
    lm = trained(level)

    together = lm.log_probs(sentences)

    assert together.shape == (len(sentences),)
    for sentence, found in zip(sentences, together, strict=True):
        assert found == pytest.approx(lm.log_probs([sentence])[0], rel=1e-5, abs=1e-5)


def test_equal_sentences_are_read_once(evaluator, monkeypatch):
    sizes = []
    read = NetworkPredictor.read

    def counted(self, inputs, targets, state):
        sizes.append(inputs.numel())
        return read(self, inputs, targets, state)

    monkeypatch.setattr(NetworkPredictor, "read", counted)

    once = evaluator("word").log_probs(["the fox"])
    tokens = sum(sizes)
    often = evaluator("word").log_probs(["the fox"] * 1000)

    assert sum(sizes) == 2 * tokens
    assert often.tolist() == once.tolist() * 1000


def test_thousands_of_sentences_keep_their_order(evaluator, tale):
    words = tale.split()
    rng = np.random.default_rng(0)
    sentences = [" ".join(rng.choice(words, rng.integers(0, 9))) for _ in range(3000)]

    found = evaluator("word").log_probs(sentences)

    for number in range(0, 3000, 500):
        expected = evaluator("word").log_probs([sentences[number]])[0]
        assert found[number] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("level", LEVELS)
def test_of_no_sentences_there_are_no_probabilities(trained, level):
    found = trained(level).log_probs([])

    assert (found.shape, found.dtype) == ((0,), np.float64)


def test_a_sentence_that_cannot_be_does_not_touch_the_others(evaluator):
    words = evaluator("word", frame="line")
    never = words.tokenizer.encode("fox")[0]
    size = words.tokenizer.vocab_size

    found = words.with_predictor(Uniform(size, never)).log_probs(["the", "the fox", "", "The the"])

    each = math.log(size - 1)
    assert found == pytest.approx([-2 * each, -math.inf, -each, -3 * each])


def test_sentences_of_a_stream_are_read_each_by_itself(evaluator):
    streams, frames = (evaluator("word", context=context) for context in ("stream", "frame"))

    assert streams.log_probs(SENTENCES).tolist() == frames.log_probs(SENTENCES).tolist()
    assert replace(streams.reading, context="frame") == frames.reading
