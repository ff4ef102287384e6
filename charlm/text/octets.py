"""Byte tokenizer: one token per byte of UTF-8. It can encode any file."""

import codecs
from collections.abc import Sequence

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, models, pre_tokenizers

from charlm.text.chars import code_points
from charlm.text.tokenizer import Spans, TokenIds, Tokenizer, frame_template, symbol_table


def byte_symbols() -> list[str]:
    """Return the printable character that represents each byte 0 .. 255 in a tokenizer.json.

    This is GPT-2's table, as implemented by `tokenizers`. Printable Latin-1 characters represent
    themselves; the other bytes are mapped to the code points from 256 up.
    """
    itself = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return [chr(byte if byte in itself else next(others)) for byte in range(256)]


def byte_level_backend(
    symbols: Sequence[str], merges: list[tuple[str, str]], *, words: bool
) -> tokenizers.Tokenizer:
    """Return a backend over bytes; `words` splits at GPT-2's word boundaries before merging."""
    vocab = symbol_table(symbols)
    backend = tokenizers.Tokenizer(models.BPE(vocab, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=words)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = frame_template(vocab)
    return backend


class ByteTokenizer(Tokenizer):
    """Byte tokenizer: byte b has id b.

    Bytes that are not valid UTF-8 are represented in text as Python's surrogate escapes.
    """

    level = "byte"

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        super().__init__(backend)
        for byte, symbol in enumerate(byte_symbols()):
            if backend.id_to_token(byte) != symbol:
                raise KeyError(symbol)

    @classmethod
    def build(cls) -> "ByteTokenizer":
        return cls(byte_level_backend(byte_symbols(), [], words=False))

    def encode_batch(self, texts: Sequence[str]) -> list[TokenIds]:
        encoded = (text.encode("utf-8", "surrogateescape") for text in texts)
        return [np.frombuffer(octets, dtype=np.uint8).astype(np.uint32) for octets in encoded]

    def encode_spans(self, texts: Sequence[str]) -> list[tuple[TokenIds, Spans]]:
        encoded = zip(texts, self.encode_batch(texts), strict=True)
        return [(ids, byte_spans(text, np.ones(len(ids), dtype=np.int64))) for text, ids in encoded]

    def spellings(self) -> list[tuple[int, ...]]:
        return [(byte,) for byte in range(256)] + [()] * 3

    def decoder(self) -> "ByteDecoder":
        return ByteDecoder([bytes([i]) if i < 256 else b"" for i in range(self.vocab_size)])

    def token(self, token: int) -> str:
        if token >= 256:
            return super().token(token)
        return chr(token) if 0x20 <= token < 0x7F else f"\\x{token:02x}"


def byte_spans(text: str, num_bytes: NDArray[np.int64]) -> Spans:
    """Return the spans of consecutive tokens in code points: (num_tokens, 2).

    `num_bytes` is (num_tokens,): the bytes of `text` that each token covers, at least 1.
    """
    characters = characters_of_bytes(text)
    ends = np.cumsum(num_bytes)
    return np.stack([characters[ends - num_bytes], characters[ends - 1] + 1], axis=-1)


def characters_of_bytes(text: str) -> NDArray[np.int64]:
    """Return the index of the character that each byte of UTF-8 belongs to: (num_bytes,).

    A surrogate escape is one byte.
    """
    codes = code_points(text)
    sizes = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    sizes[(codes >= 0xDC80) & (codes <= 0xDCFF)] = 1
    return np.repeat(np.arange(len(codes)), sizes)


class ByteDecoder:
    """Decoder that emits each character once all of its bytes are known."""

    def __init__(self, octets: Sequence[bytes]) -> None:
        self._octets = octets
        self._utf8 = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def push(self, token: int) -> str:
        return self._utf8.decode(self._octets[token])

    def finish(self) -> str:
        return self._utf8.decode(b"", final=True)

    def copy(self) -> "ByteDecoder":
        other = ByteDecoder(self._octets)
        other._utf8.setstate(self._utf8.getstate())
        return other
