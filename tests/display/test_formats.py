"""Lines that scripts made for KenLM and SRILM can read: every number where they look for it."""

import math
import re

import pytest

from charlm.api import Measured
from charlm.display.formats import kenlm_summary, srilm_line
from charlm.evaluation import Evaluation

FOUND = Evaluation(
    total_nats=4567.891,
    total_nats_other=123.4,
    sum_squared_nats=30000.0,
    num_tokens=1234,
    num_other=56,
    num_stop=78,
    num_words=1100,
    num_chars=6000,
    num_bytes=6100,
)
NUMBER = r"(-?[\d.]+(?:e[+-]\d+)?)"


def measured(text="tale.txt", found=FOUND):
    return Measured(text=text, evaluation=found, fingerprint="a|b|c")


def same(text, value):
    """To six digits."""
    return float(text) == pytest.approx(value, rel=5e-6)


def test_the_summary_of_kenlm_has_its_four_lines():
    found = re.fullmatch(
        rf"Perplexity including OOVs:\t{NUMBER}\nPerplexity excluding OOVs:\t{NUMBER}\n"
        r"OOVs:\t(\d+)\nTokens:\t(\d+)",
        kenlm_summary(measured()),
    )

    assert same(found[1], FOUND.perplexity)
    assert same(found[2], FOUND.perplexity_excluding_other)
    assert (int(found[3]), int(found[4])) == (56, 1234)


def test_the_lines_of_srilm_have_all_that_its_scripts_look_for():
    found = re.fullmatch(
        r"file (.*): (\d+) sentences, (\d+) words, (\d+) OOVs\n"
        rf"(\d+) zeroprobs, logprob= {NUMBER} ppl= {NUMBER} ppl1= {NUMBER}",
        srilm_line(measured()),
    )

    sentences, words, others, zeroprobs = (int(found[group]) for group in (2, 3, 4, 5))
    logprob, ppl, ppl1 = (float(found[group]) for group in (6, 7, 8))
    assert (found[1], sentences, words, others, zeroprobs) == ("tale.txt", 78, 1234 - 78, 0, 0)
    assert same(logprob, -FOUND.total_nats / math.log(10))
    assert same(ppl, FOUND.perplexity)
    assert same(ppl1, FOUND.ppl1)
    # What SRILM's manual says of them, for OOVs and zeroprobs of 0.
    assert ppl == pytest.approx(10 ** (-logprob / (words + sentences)), rel=1e-4)
    assert ppl1 == pytest.approx(10 ** (-logprob / words), rel=1e-4)


@pytest.mark.parametrize("nats", [1e-3, 5.0, 4567.891, 1e5])
def test_numbers_of_any_size_are_read_back_to_six_digits(nats):
    found = Evaluation(**{**sums(FOUND), "total_nats": nats})

    line = srilm_line(measured(found=found)).splitlines()[1]
    logprob, ppl, ppl1 = re.findall(rf"= {NUMBER}", line)

    assert same(logprob, -nats / math.log(10))
    assert same(ppl, found.perplexity) and same(ppl1, found.ppl1)
    assert "," not in line.removeprefix("0 zeroprobs,")


def test_of_nothing_but_ends_ppl1_is_not_a_number():
    found = Evaluation(**{**sums(FOUND), "num_tokens": 78})

    assert srilm_line(measured(found=found)).endswith("ppl1= nan")


def sums(evaluation):
    return {name: getattr(evaluation, name) for name in evaluation.__slots__}
