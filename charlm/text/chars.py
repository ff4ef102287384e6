"""Character tokenizer: one token per Unicode code point."""

from collections.abc import Iterable, Sequence

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import models, pre_tokenizers

from charlm.text.tokenizer import (
    OTHER,
    Spans,
    TokenIds,
    Tokenizer,
    by_frequency,
    frame_template,
    symbol_table,
)

NUM_CODE_POINTS = 0x110000


class CharTokenizer(Tokenizer):
    """Character vocabulary, most frequent first. Other characters are encoded as `<other>`."""

    level = "char"

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        super().__init__(backend)
        # The backend takes 1 µs per character; a lookup table encodes 100 MB/s.
        self._ids = np.full(NUM_CODE_POINTS, self.other_id, dtype=np.uint32)
        for symbol, index in backend.get_vocab().items():
            if len(symbol) == 1:
                self._ids[ord(symbol)] = index
        self._texts = [self.token(i) for i in range(self.num_symbols)] + ["", "", OTHER]

    @classmethod
    def build(cls, texts: Iterable[str], vocab_size: int | None = None) -> "CharTokenizer":
        """Build a vocabulary of the `vocab_size` most frequent characters of `texts`, or of all."""
        return cls(char_backend(by_frequency(count_chars(texts), vocab_size)))

    def encode_batch(self, texts: Sequence[str]) -> list[TokenIds]:
        return [self._ids[code_points(text)] for text in texts]

    def encode_spans(self, texts: Sequence[str]) -> list[tuple[TokenIds, Spans]]:
        return [(ids, one_by_one(len(ids))) for ids in self.encode_batch(texts)]

    def decoder(self) -> "CharDecoder":
        return CharDecoder(self._texts)

    def unknown(self, text: str) -> list[str]:
        return [c for c in dict.fromkeys(text) if self._ids[ord(c)] == self.other_id]


def char_backend(symbols: Sequence[str]) -> tokenizers.Tokenizer:
    """Return a backend that encodes each character as one token."""
    vocab = symbol_table(symbols)
    backend = tokenizers.Tokenizer(models.WordLevel(vocab, unk_token=OTHER))
    backend.pre_tokenizer = pre_tokenizers.Split("", behavior="isolated")
    backend.post_processor = frame_template(vocab)
    return backend


class CharDecoder:
    """Decoder that looks up the text of each token."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def push(self, token: int) -> str:
        return self._texts[token]

    def finish(self) -> str:
        return ""

    def copy(self) -> "CharDecoder":
        return self  # the decoder has no state


def code_points(text: str) -> NDArray[np.uint32]:
    """Return the code points of `text`: (len(text),)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def one_by_one(length: int) -> Spans:
    """Return the spans of `length` consecutive characters: (length, 2)."""
    starts = np.arange(length)
    return np.stack([starts, starts + 1], axis=-1)


def count_chars(texts: Iterable[str]) -> dict[str, int]:
    """Count the occurrences of each character, in order of first appearance."""
    totals = np.zeros(NUM_CODE_POINTS, dtype=np.int64)
    order: dict[int, None] = {}
    for text in texts:
        codes = code_points(text)
        counts = np.bincount(codes)
        new = np.flatnonzero(counts * (totals[: len(counts)] == 0))
        order |= dict.fromkeys(sorted(new.tolist(), key=lambda c: int((codes == c).argmax())))
        totals[: len(counts)] += counts
    return {chr(code): int(totals[code]) for code in order}
