"""How often tokens occur: equal to counting them one by one."""

from collections import Counter

import pytest

from charlm.data import Framing, count_tokens, read_text
from charlm.text import TextConfig, build_tokenizer

TALE = "The fox ate the moon.\nThe owl, the naïve owl, saw the fox.\n\n\nOnce.\n" * 3
CONFIGS = [
    TextConfig(level="char"),
    TextConfig(level="char", vocab_size=6),
    TextConfig(level="byte"),
    TextConfig(level="bpe", vocab_size=270),
    TextConfig(level="word", vocab_size=4),
    TextConfig(level="word", vocab_size=100),
]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "tale.txt"
    path.write_text(TALE, encoding="utf-8")
    return read_text(str(path), Framing(frame="line"), any_bytes=False)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_counts_are_those_of_the_tokens_one_by_one(config, text):
    tokenizer = build_tokenizer(config, text)
    naive = Counter(t for line in TALE.splitlines() for t in tokenizer.encode(line))

    counts = count_tokens(text, tokenizer)

    assert dict(zip(counts.ids.tolist(), counts.counts.tolist(), strict=True)) == {
        token: naive[token]
        for token in range(tokenizer.vocab_size)
        if token not in (tokenizer.start_id, tokenizer.stop_id)
    }
    assert counts.num_tokens == naive.total()
    assert len(counts.ids) == tokenizer.vocab_size - 2


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_counts_fall_and_ties_go_by_id(config, text):
    counts = count_tokens(text, build_tokenizer(config, text))

    ranked = sorted(zip(-counts.counts, counts.ids, strict=True))

    assert [token for _, token in ranked] == counts.ids.tolist()


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_coverage_is_the_share_of_the_most_frequent_symbols(config, text):
    tokenizer = build_tokenizer(config, text)
    naive = Counter(t for line in TALE.splitlines() for t in tokenizer.encode(line))
    total = naive.total()
    known = sorted((n for token, n in naive.items() if token != tokenizer.other_id), reverse=True)

    counts = count_tokens(text, tokenizer)

    for size in (0, 1, 2, 5, tokenizer.num_symbols):
        assert counts.coverage(size) == pytest.approx(sum(known[:size]) / total)


def test_coverage_of_a_vocabulary_that_knows_all_is_one(text):
    counts = count_tokens(text, build_tokenizer(TextConfig(), text))

    assert counts.coverage_steps()[-1] == (len(set(TALE.replace("\n", ""))), 1.0)


def test_coverage_steps_are_1_2_5_10_and_so_on_and_then_all(text):
    counts = count_tokens(text, build_tokenizer(TextConfig(level="byte"), text))

    steps = counts.coverage_steps()

    assert [size for size, _ in steps] == [1, 2, 5, 10, 20, 50, 100, 200, 256]
    assert all(share == counts.coverage(size) for size, share in steps)


def test_a_text_without_tokens_covers_nothing(tmp_path):
    path = tmp_path / "blank.txt"
    path.write_text("\n\n")
    text = read_text(str(path), Framing(frame="line"), any_bytes=False)

    counts = count_tokens(text, build_tokenizer(TextConfig(), ["ab"]))

    assert counts.num_tokens == 0
    assert counts.coverage_steps() == [(1, 0.0), (2, 0.0)]
