"""Tokenizer settings, and the function that builds the tokenizer they describe."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from charlm.errors import ConfigError
from charlm.text.bpe import BpeTokenizer
from charlm.text.chars import CharTokenizer
from charlm.text.octets import ByteTokenizer
from charlm.text.tokenizer import Level, Tokenizer
from charlm.text.words import WordTokenizer

MAX_SYMBOLS = 1_000_000  # in a vocabulary; a larger tokenizer.json is rejected
MAX_MERGED_SYMBOLS = 250_000  # in a BPE vocabulary, which stores a merge per symbol


@dataclass(frozen=True, kw_only=True, slots=True)
class TextConfig:
    """Tokenizer settings.

    `vocab_size` counts symbols, without `<start>`, `<stop>` and `<other>`. It does not apply to
    level "byte". `lowercase` and `pretokenized` apply to level "word" only.

    Raises:
        ConfigError: a setting is out of range or has no effect at this level.
    """

    level: Level = "char"
    vocab_size: int | None = None  # None: the default of the tokenizer's `build`
    lowercase: bool = False
    pretokenized: bool = False

    def __post_init__(self) -> None:
        if self.level not in get_args(Level):
            known = ", ".join(get_args(Level))
            raise ConfigError(f"level must be one of {known}, not {self.level!r}.")
        if self.vocab_size is not None and self.vocab_size < 1:
            raise ConfigError(f"vocab_size must be at least 1, not {self.vocab_size}.")
        if self.level == "byte" and self.vocab_size is not None:
            raise ConfigError("vocab_size has no effect at --level byte: there are 256 bytes.")
        if self.level == "bpe" and self.vocab_size is not None and self.vocab_size < 257:
            raise ConfigError(
                f"vocab_size must be above 256 at --level bpe, not {self.vocab_size}: "
                "the 256 bytes come first."
            )
        most = MAX_MERGED_SYMBOLS if self.level == "bpe" else MAX_SYMBOLS
        if self.vocab_size is not None and self.vocab_size > most:
            raise ConfigError(
                f"vocab_size must be at most {most:,} at --level {self.level}, "
                f"not {self.vocab_size:,}."
            )
        for name in ("lowercase", "pretokenized"):
            if getattr(self, name) and self.level != "word":
                raise ConfigError(
                    f"--{name} has no effect at --level {self.level}; add --level word."
                )


def build_tokenizer(config: TextConfig, texts: Iterable[str]) -> Tokenizer:
    """Build a tokenizer from the training split.

    `texts` is iterated at most twice.
    """
    match config.level:
        case "char":
            return CharTokenizer.build(texts, config.vocab_size)
        case "byte":
            return ByteTokenizer.build()
        case "bpe":
            return BpeTokenizer.build(texts, config.vocab_size)
        case "word":
            return WordTokenizer.build(
                texts,
                config.vocab_size,
                lowercase=config.lowercase,
                pretokenized=config.pretokenized,
            )
