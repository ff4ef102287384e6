"""What the rules promise, whatever numbers the measured runs gave them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.model import ModelConfig
from charlm.training import Facts, TrainingConfig, rules

SIZES = [1_000, 20_000, 300_000, 2_000_000, 10**9]
LEVELS = ["char", "byte", "bpe", "word"]


def facts(level="char", vocab_size=100, num_tokens=1_000_000, **changes):
    return Facts(
        level=level,
        vocab_size=vocab_size,
        num_tokens=num_tokens,
        num_valid_tokens=num_tokens // 20,
        num_windows=lambda t: -(-(num_tokens - 1) // (t.batch_size * t.bptt)),
        **changes,
    )


def model(hidden_size=512, **changes):
    return ModelConfig(
        vocab_size=100, hidden_size=hidden_size, embedding_size=hidden_size, **changes
    )


@pytest.mark.parametrize("level", LEVELS)
def test_a_longer_text_teaches_wider_models_the_widest_tried_first(level):
    tried = [rules.hidden_sizes(facts(level, num_tokens=num_tokens)) for num_tokens in SIZES]

    assert all(sizes and all(a > b for a, b in pairwise(sizes)) for sizes in tried)
    assert all(set(fewer) <= set(more) for fewer, more in pairwise(tried))
    assert max(tried[0]) < max(tried[-1])


@pytest.mark.parametrize(
    ("level", "vocab_size", "cell", "stop_by", "chosen"),
    [
        ("char", 50_000, "lstm", "symbol", "full"),
        ("byte", 50_000, "lstm", "symbol", "full"),
        ("bpe", 50_000, "lstm", "symbol", "full"),
        ("word", 500, "lstm", "symbol", "full"),
        ("word", 50_000, "lstm", "symbol", "adaptive"),
        ("word", 50_000, "jordan", "symbol", "full"),
        ("word", 50_000, "lstm", "halt", "full"),
    ],
)
def test_only_words_are_many_and_mostly_rare(level, vocab_size, cell, stop_by, chosen):
    assert rules.softmax(facts(level, vocab_size=vocab_size), cell, stop_by)["softmax"] == chosen


def test_the_rate_stays_level_where_the_steps_are_fitted_to_a_time():
    assert rules.schedule({}) == rules.schedule({"time": "5m"}) == "constant"
    assert rules.schedule({"steps": 9}) == rules.schedule({"epochs": 2.0}) == "cosine"
    assert rules.schedule({"steps": 9, "decay_share": 0.1}) == "constant"


@given(st.integers(20, 5_000_000))
def test_the_cuts_of_adaptive_softmax_are_good_ones_for_any_vocabulary(vocab_size):
    chosen = rules.adaptive_softmax(vocab_size)

    config = ModelConfig(vocab_size=vocab_size, **chosen)

    assert config.softmax == "adaptive"
    assert config.softmax_cutoffs[0] < vocab_size / 2  # else next to nothing is saved


@pytest.mark.parametrize("hidden_size", [16, 512])
def test_bfloat16_is_for_wide_models_on_devices_that_compute_in_it(hidden_size):
    with_it, without = facts(has_bfloat16=True), facts(has_bfloat16=False)

    assert rules.precision(without, model(hidden_size)) == "float32"
    wide = hidden_size >= rules.MIN_BFLOAT16_SIZE
    assert rules.precision(with_it, model(hidden_size)) == ("bfloat16" if wide else "float32")


@given(st.integers(1, 10**9), st.integers(1, 2_000))
def test_streams_are_a_power_of_two_and_give_a_text_some_hundred_steps(num_tokens, bptt):
    streams = rules.batch_size(facts(num_tokens=num_tokens), bptt)

    assert streams in (1, 2, 4, 8, 16, 32)
    assert streams == 1 or num_tokens / (streams * bptt) >= 100
    assert streams == 32 or num_tokens / (2 * streams * bptt) < 100


@pytest.mark.parametrize("level", LEVELS)
def test_sgd_has_rates_and_a_norm_of_its_own(level):
    known = facts(level)
    for hidden_size in (16, 512, 1024):
        shape = model(hidden_size)
        adaptive = {rules.learning_rate(known, shape, name) for name in ("adamw", "muon")}
        assert 1 <= rules.learning_rate(known, shape, "sgd") <= 30
        assert all(1e-4 < rate < 0.1 for rate in adaptive)
    norms = [rules.clip_norm(known, name) for name in ("adamw", "muon", "sgd")]
    assert norms == [1.0, 1.0, 0.25 if level == "word" else 5.0]


def test_a_wider_model_learns_at_no_higher_rate():
    rates = [
        rules.learning_rate(facts(), model(size), "adamw") for size in sorted(rules.HIDDEN_SIZES)
    ]

    assert rates == sorted(rates, reverse=True)
    assert rules.learning_rate(facts(), model(512, mogrifier_steps=2), "adamw") < min(rates)


@pytest.mark.parametrize("level", LEVELS)
def test_dropout_rises_with_epochs_and_falls_with_the_length_of_the_text(level):
    def dropout(known, epochs, hidden_size=512):
        return rules.regularisation(known, epochs, hidden_size)["dropout"]

    by_epochs = [dropout(facts(level), epochs) for epochs in (0.1, 1, 5, 13, 100)]
    by_length = [dropout(facts(level, num_tokens=n), 1) for n in SIZES]
    by_width = [dropout(facts(level), 5, size) for size in sorted(rules.HIDDEN_SIZES)]

    assert by_epochs == sorted(by_epochs)
    assert by_length == sorted(by_length, reverse=True)
    assert by_width == sorted(by_width)
    assert all(0 <= p < 1 for p in by_epochs + by_length)


@pytest.mark.parametrize("level", LEVELS)
def test_a_short_text_is_seen_no_more_often_than_a_long_one(level):
    often = [rules.max_epochs(facts(level, num_tokens=num_tokens)) for num_tokens in SIZES]

    assert often == sorted(often)
    assert often[0] >= 1


@pytest.mark.parametrize("level", LEVELS)
def test_all_rules_together_make_settings_that_go_with_each_other(level):
    for num_tokens in SIZES:
        known = facts(level, vocab_size=20_000, num_tokens=num_tokens, has_bfloat16=True)
        bptt = rules.bptt(known)
        for size in rules.hidden_sizes(known):
            shape = model(size, **rules.regularisation(known, 3.0, size))
            TrainingConfig(
                steps=1,
                bptt=bptt,
                batch_size=rules.batch_size(known, bptt),
                learning_rate=rules.learning_rate(known, shape, "adamw"),
                clip_norm=rules.clip_norm(known, "adamw"),
                precision=rules.precision(known, shape),
            )
