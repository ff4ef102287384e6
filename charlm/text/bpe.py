"""Byte-pair encoding, learned from the training text (Sennrich et al. 2016)."""

import json
from collections.abc import Iterable, Sequence

import numpy as np
import tokenizers
from tokenizers import trainers

from charlm.text.octets import ByteDecoder, byte_level_backend, byte_spans, byte_symbols
from charlm.text.tokenizer import Spans, TokenIds, Tokenizer

DEFAULT_VOCAB_SIZE = 4096


class BpeTokenizer(Tokenizer):
    """Byte-level BPE as in GPT-2. It can encode any text, so `<other>` never occurs."""

    level = "bpe"

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        super().__init__(backend)
        byte_of = {symbol: byte for byte, symbol in enumerate(byte_symbols())}
        symbols = [str(backend.id_to_token(i)) for i in range(self.num_symbols)]
        self._octets = [bytes(byte_of[c] for c in symbol) for symbol in symbols] + [b""] * 3
        self._num_bytes = np.array([len(octets) for octets in self._octets], dtype=np.int64)

    @classmethod
    def build(cls, texts: Iterable[str], vocab_size: int | None = None) -> "BpeTokenizer":
        """Learn merges from `texts`.

        `vocab_size` counts the symbols, including the 256 bytes. The default is 4096.
        """
        backend = byte_level_backend(byte_symbols(), [], words=True)
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size or DEFAULT_VOCAB_SIZE,
            initial_alphabet=byte_symbols(),
            show_progress=False,
        )
        backend.train_from_iterator(texts, trainer=trainer)
        model = json.loads(backend.to_str())["model"]
        symbols = sorted(model["vocab"], key=model["vocab"].__getitem__)
        merges = [(left, right) for left, right in model["merges"]]
        return cls(byte_level_backend(symbols, merges, words=True))

    def encode_batch(self, texts: Sequence[str]) -> list[TokenIds]:
        encodings = self.backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.uint32) for encoding in encodings]

    def encode_spans(self, texts: Sequence[str]) -> list[tuple[TokenIds, Spans]]:
        encoded = zip(texts, self.encode_batch(texts), strict=True)
        return [(ids, byte_spans(text, self._num_bytes[ids])) for text, ids in encoded]

    def spellings(self) -> list[tuple[int, ...]]:
        return [tuple(octets) for octets in self._octets]

    def spell(self, text: str) -> tuple[int, ...]:
        return tuple(text.encode("utf-8", "surrogateescape"))

    def decoder(self) -> ByteDecoder:
        return ByteDecoder(self._octets)

    def token(self, token: int) -> str:
        if token >= self.num_symbols:
            return super().token(token)
        return self._octets[token].decode("utf-8", "backslashreplace")
