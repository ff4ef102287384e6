"""Tokenizer interface, and the code shared by the four levels."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Literal, Protocol, Self

import numpy as np
import tokenizers
from numpy.typing import NDArray

from charlm.storage import write_atomically

Level = Literal["char", "word", "byte", "bpe"]
TokenIds = NDArray[np.uint32]
Spans = NDArray[np.int64]

START, STOP, OTHER = "<start>", "<stop>", "<other>"


class StreamDecoder(Protocol):
    """Incremental decoder of token ids.

    The concatenated results of `push` and `finish` equal `Tokenizer.decode` of the same ids.
    """

    def push(self, token: int) -> str:
        """Add a token and return the text that is now complete; may be empty."""
        ...

    def finish(self) -> str:
        """Return the remaining text after the last token."""
        ...

    def copy(self) -> Self:
        """Return an independent decoder in the same state."""
        ...


class Tokenizer(ABC):
    """Tokenizer interface: `decode(encode(text))` equals `text`, except for unknown symbols.

    Word tokenizers do not preserve white space; see `charlm.text.words`.

    The symbols of the text have ids 0 .. N-1, in order of decreasing frequency at the word and
    character levels. They are followed by `<start>` = N, `<stop>` = N+1 and `<other>` = N+2.
    `backend` is the Hugging Face tokenizer stored in tokenizer.json. It produces the same ids,
    enclosed in `<start>` and `<stop>`.
    """

    level: ClassVar[Level]

    def __init__(self, backend: tokenizers.Tokenizer) -> None:
        self.backend = backend
        self.vocab_size: int = backend.get_vocab_size()
        self.start_id = self.num_symbols
        self.stop_id = self.num_symbols + 1
        self.other_id = self.num_symbols + 2

    @property
    def num_symbols(self) -> int:
        """Number of symbols N: the vocabulary without `<start>`, `<stop>` and `<other>`."""
        return self.vocab_size - 3

    @property
    def pretokenized(self) -> bool:
        """Return whether texts are split at white space only and may hold `<unk>` and `<eos>`."""
        return False

    @abstractmethod
    def encode_batch(self, texts: Sequence[str]) -> list[TokenIds]:
        """Return the ids of each text, (num_tokens,) each, without `<start>` and `<stop>`."""

    @abstractmethod
    def encode_spans(self, texts: Sequence[str]) -> list[tuple[TokenIds, Spans]]:
        """Return the ids of each text and the spans of its tokens, (num_tokens, 2).

        A span is the half-open range of code points of the text that the token covers. Tokens
        that are parts of one character all have the span of this character.
        """

    def encode(self, text: str) -> list[int]:
        """Return the ids of one text, without `<start>` and `<stop>`."""
        ids: list[int] = self.encode_batch([text])[0].tolist()
        return ids

    @abstractmethod
    def decoder(self) -> StreamDecoder:
        """Return a new decoder for one sequence of ids."""

    def decoder_after(self, text: str) -> StreamDecoder:
        """Return a decoder for the tokens that follow `text`."""
        decoder = self.decoder()
        for token in self.encode(text):
            decoder.push(token)
        return decoder

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of the ids.

        `<start>` is omitted. `<stop>` is omitted, except that word tokenizers write a line break
        before the next word. `<other>` is written by word and character tokenizers only.
        """
        decoder = self.decoder()
        return "".join([decoder.push(int(token)) for token in ids]) + decoder.finish()

    def token(self, token: int) -> str:
        """Return a printable form of one token."""
        return self.backend.id_to_token(token) or f"<{token}>"

    def spellings(self) -> list[tuple[int, ...]]:
        """Return the symbols that each token stands for, by token id.

        These are bytes at the byte and BPE levels. At the other levels a token is its own symbol.
        """
        return [(token,) for token in range(self.vocab_size)]

    def spell(self, text: str) -> tuple[int, ...]:
        """Return the symbols of `text`, in the units of `spellings`, for any tokenization of it."""
        return tuple(self.encode(text))

    def unknown(self, text: str) -> list[str]:
        """Return the distinct parts of `text` encoded as `<other>`, in order of appearance."""
        return []

    def to_json(self) -> str:
        """Return the content of tokenizer.json."""
        return self.backend.to_str(pretty=True)

    def save(self, path: Path) -> None:
        """Write tokenizer.json atomically.

        Raises:
            StorageError: the file cannot be written.
        """
        write_atomically(path, self.to_json())


def symbol_table(symbols: Iterable[str]) -> dict[str, int]:
    """Return the ids of the symbols, in their order, then of `<start>`, `<stop>` and `<other>`."""
    return {symbol: index for index, symbol in enumerate([*symbols, START, STOP, OTHER])}


def frame_template(vocab: dict[str, int]) -> tokenizers.processors.TemplateProcessing:
    """Return a post-processor that encloses each encoded text in `<start>` and `<stop>`."""
    return tokenizers.processors.TemplateProcessing(
        single=f"{START} $A {STOP}",
        special_tokens=[(START, vocab[START]), (STOP, vocab[STOP])],
    )


def by_frequency(counts: dict[str, int], limit: int | None) -> list[str]:
    """Return the `limit` most frequent symbols (None: all), most frequent first.

    Ties are in the order of `counts`, which is the order of first appearance.
    """
    return sorted(counts, key=counts.__getitem__, reverse=True)[:limit]
