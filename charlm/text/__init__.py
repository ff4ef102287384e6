"""Text to token ids and back: characters, words, bytes and byte pairs."""

from charlm.text.config import TextConfig, build_tokenizer
from charlm.text.loading import load_tokenizer, parse_tokenizer
from charlm.text.tokenizer import (
    OTHER,
    START,
    STOP,
    Level,
    Spans,
    StreamDecoder,
    TokenIds,
    Tokenizer,
)

__all__ = [
    "OTHER",
    "START",
    "STOP",
    "Level",
    "Spans",
    "StreamDecoder",
    "TextConfig",
    "TokenIds",
    "Tokenizer",
    "build_tokenizer",
    "load_tokenizer",
    "parse_tokenizer",
]
