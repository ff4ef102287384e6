r"""ARPA files by other hands, and damaged ones."""

import math

import numpy as np
import pytest

from charlm.errors import TextError
from charlm.ngram import arpa_read, read_arpa

WORDS = ["fox", "moon", "<s>", "</s>", "<unk>"]
FOX, MOON, START, STOP, OTHER = range(5)

SRILM = """
A model of a tale, pruned.

\\data\\
ngram 1=4
ngram 2=  3
ngram 3=2

\\1-grams:
-0.5\t</s>
-99\t<s>\t-0.25
-0.75\tmoon\t0.125
-1\tfox\t-2

\\2-grams:
-0.375\tmoon </s>
-0.25\t<s> fox\t-1.5
-3\tfox moon\t-0.5

\\3-grams:
-0.0625\t<s> fox moon
-0.125\tmoon fox </s>

\\end\\
"""

KENLM = """\\data\\
ngram 1=5
ngram 2=2

\\1-grams:
-1.25\t<unk>\t0
0\t<s>\t-0.25
-0.5\t</s>\t0
-1\tfox\t-2
-0.75\tmoon\t0

\\2-grams:
-0.25\t<s> fox
-0.375\tmoon </s>

\\end\\
"""


def read(text, words=WORDS):
    return read_arpa(text.splitlines(keepends=True), words=words, name="tale.arpa")


def log10_probs(model, tokens):
    return (model.log_probs(tokens) / math.log(10)).tolist()


def test_a_file_as_srilm_writes_it():
    model = read(SRILM)

    assert model.order == 3
    tale = [START, FOX, MOON, STOP]
    assert log10_probs(model, tale) == pytest.approx([0, -0.25, -0.0625, -0.5 - 0.375])
    # `moon fox` is not listed, but a context: 0.125 - 1. Then listed. `fox fox`: -2 - 1.
    assert log10_probs(model, [MOON, FOX, STOP]) == pytest.approx([-0.75, 0.125 - 1, -0.125])
    assert log10_probs(model, [MOON, FOX, FOX]) == pytest.approx([-0.75, 0.125 - 1, -2 - 1])
    assert log10_probs(model, [OTHER, FOX]) == [-math.inf, pytest.approx(-1)]
    after_moon = [0.125 - 1, 0.125 - 0.75, -math.inf, -0.375, -math.inf]
    assert model.distributions([MOON])[0] / math.log(10) == pytest.approx(np.array(after_moon))


def test_a_file_as_kenlm_writes_it():
    model = read(KENLM)

    assert log10_probs(model, [START, FOX, OTHER, MOON, STOP]) == pytest.approx(
        [0, -0.25, -2 - 1.25, -0.75, -0.375]
    )
    assert (model.distributions([START, FOX])[:, START] == -math.inf).all()


@pytest.mark.parametrize("zero", ["-99", "-99.000", "-100", "-inf"])
def test_log_probs_of_minus_99_and_less_are_probability_zero(zero):
    model = read(KENLM.replace("-1\tfox", f"{zero}\tfox"))

    assert log10_probs(model, [MOON, FOX]) == [pytest.approx(-0.75), -math.inf]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\t", "  "),
        lambda text: text.replace(" ", "\t").replace("ngram\t", "ngram "),
        lambda text: text.replace("\n", " \t\r\n"),
        lambda text: text.replace("ngram ", "ngram  ").replace("=", " = "),
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.replace("\n\\", "\n\n\n\\"),
        lambda text: "\ufeff\n" + text.removesuffix("\n"),
        lambda text: text.replace("-99", "-inf"),
        lambda text: text.replace("</s>\n-0.25", "</s>\t0\n-0.25"),
    ],
)
@pytest.mark.parametrize("text", [SRILM, KENLM])
def test_white_space_and_other_ways_to_write_it_do_not_matter(text, change):
    tokens = [START, FOX, MOON, FOX, STOP, OTHER, MOON]

    found = read(change(text)).distributions(tokens)

    assert found.tolist() == read(text).distributions(tokens).tolist()


def test_lines_without_ends_are_fine():
    model = read_arpa(SRILM.splitlines(), words=WORDS, name="tale")

    assert log10_probs(model, [START, FOX]) == pytest.approx([0, -0.25])


@pytest.mark.parametrize("batch_lines", [1, 2, 3])
def test_batches_do_not_matter(batch_lines, monkeypatch):
    expected = read(SRILM).distributions(range(5))
    monkeypatch.setattr(arpa_read, "BATCH_LINES", batch_lines)

    assert read(SRILM).distributions(range(5)).tolist() == expected.tolist()


def test_an_order_may_be_empty():
    text = KENLM.replace("ngram 2=2", "ngram 2=0").split("\\2-grams:")[0]

    model = read(text + "\\2-grams:\n\n\\end\\\n")

    assert model.order == 2
    assert log10_probs(model, [START, FOX]) == pytest.approx([0, -0.25 - 1])


def test_words_may_look_like_numbers_or_hold_white_space_of_unicode():
    text = KENLM.replace("moon", "10\xa0000").replace("fox", "-3")

    model = read(text, ["-3", "10\xa0000", *WORDS[2:]])

    assert log10_probs(model, [START, FOX, MOON]) == pytest.approx([0, -0.25, -2 - 0.75])


@pytest.mark.parametrize("batch_lines", [1, 2, 10_000])
@pytest.mark.parametrize(
    ("old", "new", "wrong", "message"),
    [
        ("-1\tfox\t-2", "-1x\tfox\t-2", 0, "expected a log10 probability of at most 0, not '-1x'"),
        ("-1\tfox\t-2", "nan\tfox\t-2", 0, "not 'nan'"),
        ("-1\tfox\t-2", "0.5\tfox\t-2", 0, "not '0.5'"),
        ("-1\tfox\t-2", "-1\tfox\tmoon", 0, "expected a log10 back-off weight, not 'moon'"),
        ("-1\tfox\t-2", "-1\tfox\tinf", 0, "not 'inf'"),
        ("-1\tfox\t-2", "-1\tfox\tnan", 0, "not 'nan'"),
        ("-1\tfox\t-2", "-1", 0, "a probability, 1 word and perhaps a back-off weight, not 1 fi"),
        ("-1\tfox\t-2", "-1\tfox\t-2\t-3", 0, "not 4 fields"),
        ("-1\tfox\t-2", "-1\tmoon\t-2\n-1\tfox\t-2", 2, "expected .2-grams: after as many"),
        ("-1\tfox\t-2\n", "-1\tfox\t-2\n\n", 1, "there are fewer 1-grams than .data. says"),
        ("-0.375\tmoon </s>\n", "\n", 0, "there are fewer 2-grams"),
        ("-0.375\tmoon </s>\n\n", "\\end\\\n", 0, "there are fewer 2-grams"),
        ("-0.375\tmoon </s>", "-0.375\tmoon owl", 0, "'owl' is not among the 1-grams"),
        ("-0.25\t<s> fox", "-0.25\towl moon", 0, "'owl' is not among the 1-grams"),
        ("-0.375\tmoon </s>", "-0.375\t<s> fox", 0, "this n-gram was listed before"),
        ("-0.375\tmoon </s>", "-0.375\tmoon", 0, "2 words and perhaps"),
        ("\\2-grams:", "\\3-grams:", 0, "expected .2-grams: after .* not '.3-grams:'"),
        ("\\1-grams:", "\\2-grams", 0, "expected .1-grams: after"),
        ("\\end\\", "\\the end\\", 0, "expected .end. after"),
        ("ngram 2=2", "ngram 3=2", 0, "expected the number of 2-grams, not 'ngram 3=2'"),
        ("ngram 2=2", "ngram 2=" + "9" * 5000, 0, "expected .1-grams: after"),
    ],
)
def test_damage_is_named_by_file_and_line(old, new, wrong, message, batch_lines, monkeypatch):
    """`wrong` counts lines from the first of those that are changed."""
    monkeypatch.setattr(arpa_read, "BATCH_LINES", batch_lines)
    before, after = KENLM.split(old)
    line = before.count("\n") + 1 + wrong

    with pytest.raises(TextError, match=f"^tale.arpa, line {line}: .*{message}.*; the file is dam"):
        read(before + new + after)


@pytest.mark.parametrize("text", ["", "\n\n", "Once upon a time\n", KENLM.replace("data", "date")])
def test_a_file_of_another_kind_is_not_an_arpa_file(text):
    with pytest.raises(TextError, match="is it an ARPA file"):
        read(text)


def test_a_file_that_announces_nothing_is_damaged():
    with pytest.raises(TextError, match="line 2: expected a line such as 'ngram 1=5'"):
        read("\\data\\\n\\1-grams:\n\\end\\\n")


@pytest.mark.parametrize("num_lines", range(len(KENLM.splitlines())))
def test_a_file_that_is_cut_off_at_any_line_is_refused(num_lines):
    kept = KENLM.splitlines(keepends=True)[:num_lines]
    assert "\\end\\\n" not in kept

    with pytest.raises(TextError, match=r"^tale\.arpa(, line| ends before)"):
        read("".join(kept))


@pytest.mark.parametrize("num_chars", range(0, KENLM.index("\\end\\") + 4, 3))
def test_a_file_that_is_cut_off_at_any_character_is_refused(num_chars):
    with pytest.raises(TextError, match=r"tale\.arpa"):
        read(KENLM[:num_chars])


def test_a_word_that_is_listed_twice_is_named_by_its_line():
    text = KENLM.replace("ngram 1=5", "ngram 1=6").replace("-0.75\tmoon", "-1\tfox\n-0.75\tmoon")

    with pytest.raises(TextError, match="line 10: this n-gram was listed before"):
        read(text)


def test_a_count_that_no_memory_could_hold_is_only_too_large():
    with pytest.raises(TextError, match="there are fewer 2-grams"):
        read(KENLM.replace("ngram 2=2", "ngram 2=999999999999999999"))


def test_words_that_the_vocabulary_does_not_have_are_counted_and_one_is_named():
    words = [word for word in WORDS if word not in ("moon", "</s>")]

    with pytest.raises(TextError, match=r"2 words that the vocabulary does not have.*'</s>'"):
        read(KENLM, words)


def test_words_that_the_file_does_not_have_are_counted_and_one_is_named():
    with pytest.raises(TextError, match=r"lacks 2 words of the vocabulary, such as 'owl'"):
        read(SRILM, [*WORDS, "owl", "ate"])
    with pytest.raises(TextError, match=r"lacks 1 word of the vocabulary, such as 'ate'"):
        read(SRILM, [*WORDS, "ate"])


def test_words_that_no_arpa_file_can_have_are_refused():
    with pytest.raises(TextError, match="'a b' cannot be a word"):
        read(KENLM, [*WORDS, "a b"])
