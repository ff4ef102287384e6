"""ARPA files as others expect them, and read again."""

import math

import numpy as np
import pytest

from charlm.errors import StorageError, TextError
from charlm.ngram import NgramModel, arpa_lines, build_kneser_ney, read_arpa, write_arpa
from charlm.ngram.model import NgramTable

START, VOCAB_SIZE = 3, 6
WORDS = ["fox", "naïve", "朝", "<s>", "</s>", "<unk>"]


@pytest.fixture(scope="module", params=[1, 2, 4, 9])
def model(request, long_text):
    return build_kneser_ney(long_text, order=request.param, vocab_size=VOCAB_SIZE, start_id=START)


def test_a_small_model_is_written_to_the_letter():
    ln10 = math.log(10)
    unigrams = NgramTable(
        np.arange(3),
        ln10 * np.array([-0.5, -np.inf, -1 / 3]),
        ln10 * np.array([-1.25, 0.125, -np.inf]),
    )
    bigrams = NgramTable(np.array([2, 3]), ln10 * np.array([-1e-7, -2.0]), np.zeros(2))

    lines = arpa_lines(NgramModel((unigrams, bigrams), 1), ["fox", "<s>", "</s>"])

    assert "".join(lines).splitlines() == [
        "\\data\\",
        "ngram 1=3",
        "ngram 2=2",
        "",
        "\\1-grams:",
        "-0.5\tfox\t-1.25",
        "-99\t<s>\t0.125",
        "-0.333333333\t</s>\t-99",
        "",
        "\\2-grams:",
        "-1e-07\tfox </s>",
        "-2\t<s> fox",
        "",
        "\\end\\",
    ]


def test_what_is_written_is_what_is_read(model, long_text, tmp_path):
    path = tmp_path / "tale.arpa"

    write_arpa(model, WORDS, path)
    with path.open(encoding="utf-8") as file:
        again = read_arpa(file, words=WORDS, name=path.name)

    assert (again.order, again.start_id) == (model.order, START)
    for table, read in zip(model.tables, again.tables, strict=True):
        assert read.keys.tolist() == table.keys.tolist()
    text = [*long_text, 1, 1, 2, 2, 5, START, START, 0]
    assert np.allclose(again.log_probs(text), model.log_probs(text), rtol=0, atol=1e-7)
    assert np.allclose(again.distributions(text), model.distributions(text), rtol=0, atol=1e-7)


def test_what_is_read_is_written_alike(model):
    lines = list(arpa_lines(model, WORDS))

    assert list(arpa_lines(read_arpa(lines, words=WORDS, name="tale"), WORDS)) == lines


def test_a_word_that_cannot_be_written_leaves_no_file(model, tmp_path):
    words = ["fox and moon", *WORDS[1:]]

    with pytest.raises(TextError, match="'fox and moon'"):
        write_arpa(model, words, tmp_path / "tale.arpa")

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_a_storage_error(model, tmp_path):
    with pytest.raises(StorageError, match="missing"):
        write_arpa(model, WORDS, tmp_path / "missing" / "tale.arpa")


def test_words_must_be_those_of_the_model(model):
    for words in (WORDS[:-1], [*WORDS[3:], *WORDS[:3]]):
        with pytest.raises(AssertionError):
            list(arpa_lines(model, words))
