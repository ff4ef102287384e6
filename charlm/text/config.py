"""How text becomes tokens: the settings, and the tokenizer they ask for."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from charlm.errors import ConfigError
from charlm.text.bpe import BpeTokenizer
from charlm.text.chars import CharTokenizer
from charlm.text.octets import ByteTokenizer
from charlm.text.tokenizer import Level, Tokenizer
from charlm.text.words import WordTokenizer

MAX_SYMBOLS = 1_000_000  # of a vocabulary; more are not read from a tokenizer.json
MAX_MERGED_SYMBOLS = 250_000  # each has a merge, too


@dataclass(frozen=True, kw_only=True, slots=True)
class TextConfig:
    """What a token is. `vocab_size` counts symbols, without `<start>`, `<stop>` and `<other>`."""

    level: Level = "char"
    vocab_size: int | None = None  # None: see the tokenizer's `build`
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
    """Build the vocabulary from `texts`, the training split alone, gone through twice at most."""
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
