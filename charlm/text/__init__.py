"""Tokenizers: characters, words, bytes and byte-pair encoding."""

from charlm.text.config import TextConfig, build_tokenizer
from charlm.text.loading import load_tokenizer, parse_tokenizer
from charlm.text.spacing import TOKEN_START, unspaced_note
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
from charlm.text.unknown import other_note

__all__ = [
    "OTHER",
    "START",
    "STOP",
    "TOKEN_START",
    "Level",
    "Spans",
    "StreamDecoder",
    "TextConfig",
    "TokenIds",
    "Tokenizer",
    "build_tokenizer",
    "load_tokenizer",
    "other_note",
    "parse_tokenizer",
    "unspaced_note",
]
