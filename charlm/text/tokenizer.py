"""What every tokenizer offers, and what the four levels share."""

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
    """Token ids to text, one at a time: the pieces in a row are `decode` of the ids in a row."""

    def push(self, token: int) -> str:
        """The text that is certain once `token` has come; may be empty."""
        ...

    def finish(self) -> str:
        """What is left when no more tokens come."""
        ...

    def copy(self) -> Self:
        """A decoder that goes on from here by itself."""
        ...


class Tokenizer(ABC):
    """Text to token ids and back: `decode(encode(text))` is `text`, but for what became `<other>`.

    Word tokenizers keep white space only as far as prose needs it; see `charlm.text.words`.

    The symbols of the text have ids 0 .. N-1, by falling frequency where they were counted; after
    them come `<start>` = N, `<stop>` = N+1 and `<other>` = N+2. `backend` is the Hugging Face
    tokenizer that tokenizer.json holds; it encodes the same, with `<start>` and `<stop>` around.
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
        """N: the vocabulary without `<start>`, `<stop>` and `<other>`."""
        return self.vocab_size - 3

    @property
    def pretokenized(self) -> bool:
        """Whether the text comes split at white space, with `<unk>` and `<eos>` written out."""
        return False

    @abstractmethod
    def encode_batch(self, texts: Sequence[str]) -> list[TokenIds]:
        """Ids of each text, without `<start>` and `<stop>`."""

    @abstractmethod
    def encode_spans(self, texts: Sequence[str]) -> list[tuple[TokenIds, Spans]]:
        """As `encode_batch`, with the place of each token: spans (num_tokens, 2).

        A span is the half-open range of code points of the text that the token covers. Tokens
        that are parts of one character cover it each.
        """

    def encode(self, text: str) -> list[int]:
        """Ids of one text, without `<start>` and `<stop>`."""
        ids: list[int] = self.encode_batch([text])[0].tolist()
        return ids

    @abstractmethod
    def decoder(self) -> StreamDecoder:
        """A fresh decoder for one sequence of ids."""

    def decoder_after(self, text: str) -> StreamDecoder:
        """A decoder of what follows `text`."""
        decoder = self.decoder()
        for token in self.encode(text):
            decoder.push(token)
        return decoder

    def decode(self, ids: Iterable[int]) -> str:
        """Text of the ids; `<start>` and `<stop>` are silent; only words and characters show
        `<other>`.
        """
        decoder = self.decoder()
        return "".join([decoder.push(int(token)) for token in ids]) + decoder.finish()

    def token(self, token: int) -> str:
        """One token as a reader would write it."""
        return self.backend.id_to_token(token) or f"<{token}>"

    def spellings(self) -> list[tuple[int, ...]]:
        """What each token writes, in symbols: itself, but for BPE, where it is bytes."""
        return [(token,) for token in range(self.vocab_size)]

    def spell(self, text: str) -> tuple[int, ...]:
        """The symbols that write `text`, whatever tokens they come in."""
        return tuple(self.encode(text))

    def unknown(self, text: str) -> list[str]:
        """The distinct parts of `text` that become `<other>`, in order of appearance."""
        return []

    def to_json(self) -> str:
        """The content of tokenizer.json."""
        return self.backend.to_str(pretty=True)

    def save(self, path: Path) -> None:
        """Write tokenizer.json in one step.

        Raises:
            StorageError: the file cannot be written.
        """
        write_atomically(path, self.to_json())


def symbol_table(symbols: Iterable[str]) -> dict[str, int]:
    """Ids of the symbols in their order, then of `<start>`, `<stop>` and `<other>`."""
    return {symbol: index for index, symbol in enumerate([*symbols, START, STOP, OTHER])}


def frame_template(vocab: dict[str, int]) -> tokenizers.processors.TemplateProcessing:
    """Have the backend put `<start>` and `<stop>` around what it encodes."""
    return tokenizers.processors.TemplateProcessing(
        single=f"{START} $A {STOP}",
        special_tokens=[(START, vocab[START]), (STOP, vocab[STOP])],
    )


def by_frequency(counts: dict[str, int], limit: int | None) -> list[str]:
    """The `limit` most frequent symbols; ties by first appearance, which is the dict's order."""
    return sorted(counts, key=counts.__getitem__, reverse=True)[:limit]
