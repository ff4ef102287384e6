"""The settings of a tokenizer refuse what has no effect, and build what they name."""

import pytest

from charlm.errors import ConfigError
from charlm.text import TextConfig, build_tokenizer

TALE = "The fox ate the moon, and the moon ate the fox."


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"level": "syllable"}, "char, word, byte, bpe"),
        ({"level": "word", "vocab_size": 0}, "at least 1"),
        ({"level": "char", "vocab_size": -1}, "at least 1"),
        ({"level": "byte", "vocab_size": 256}, "256 bytes"),
        ({"level": "bpe", "vocab_size": 256}, "above 256"),
        ({"level": "bpe", "vocab_size": 250_001}, "at most 250,000 at --level bpe"),
        ({"level": "word", "vocab_size": 1_000_001}, "at most 1,000,000 at --level word"),
        ({"level": "char", "lowercase": True}, "--lowercase has no effect"),
        ({"level": "byte", "lowercase": True}, "--lowercase has no effect"),
        ({"level": "bpe", "pretokenized": True}, "--pretokenized has no effect"),
        ({"pretokenized": True}, "--level word"),
    ],
)
def test_settings_that_cannot_be_or_have_no_effect_are_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        TextConfig(**settings)


@pytest.mark.parametrize("level", ["char", "word", "byte", "bpe"])
def test_a_tokenizer_of_the_level_is_built(level):
    tokenizer = build_tokenizer(TextConfig(level=level), [TALE])

    assert tokenizer.level == level


@pytest.mark.parametrize(("level", "size"), [("char", 5), ("word", 2), ("bpe", 270)])
def test_the_vocabulary_size_counts_the_symbols_alone(level, size):
    tokenizer = build_tokenizer(TextConfig(level=level, vocab_size=size), [TALE])

    assert tokenizer.num_symbols == size
    assert tokenizer.vocab_size == size + 3


def test_characters_are_the_default():
    assert build_tokenizer(TextConfig(), [TALE]).level == "char"


def test_word_flags_reach_the_tokenizer():
    config = TextConfig(level="word", vocab_size=20, lowercase=True, pretokenized=True)

    tokenizer = build_tokenizer(config, [TALE])

    assert tokenizer.pretokenized
    assert tokenizer.encode("THE fox.") == tokenizer.encode("the FOX.")
    assert tokenizer.other_id not in tokenizer.encode("THE fox.")
