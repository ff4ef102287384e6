"""What a tokenizer's symbols mean to decoding: which end a text, which may not be written."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

Symbols = tuple[int, ...]


class TextWatch(Protocol):
    """Follows the text of one row, token by token, and knows where a stop string ends it."""

    def push(self, token: int) -> bool:
        """Take the next token; whether the text ends with it."""
        ...

    def copy(self) -> Self:
        """A watch that goes on from here by itself, for a beam that divides."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """Token ids with a meaning."""

    vocab_size: int
    stop_id: int
    barred: tuple[int, ...] = ()  # never chosen
    bias: Mapping[int, float] = field(default_factory=dict)  # added to logits
    bans: "Bans | None" = None
    watch: Callable[[], TextWatch] | None = (
        None  # begins one after the prompt; None: no stop string
    )


class Bans:
    """Strings of symbols that are never written, however tokens spell them.

    Tokens that write one by themselves are not its business: see `tokens_with`.

    Args:
        strings: each at least one symbol long.
        spellings: the symbols of each token; a token of a character model is its own symbol, one
            of a BPE model the bytes it stands for.
    """

    def __init__(self, strings: Sequence[Symbols], spellings: Sequence[Symbols]) -> None:
        self._spellings = spellings
        self._memory = max(map(len, strings)) - 1
        # (what the text ends in, tokens that would then complete a string)
        self._completing: list[tuple[Symbols, list[int]]] = []
        for string in strings:
            for k in range(1, len(string)):
                rest = string[k:]
                tokens = [
                    i for i, spelling in enumerate(spellings) if spelling[: len(rest)] == rest
                ]
                self._completing.append((string[:k], tokens))

    def extend(self, text: Symbols, token: int) -> Symbols:
        """The end of a text, as far as it matters, after one more token."""
        longer = text + self._spellings[token]
        return longer[max(0, len(longer) - self._memory) :]

    def completing(self, text: Symbols) -> list[int]:
        """The tokens that would complete a string after a text that ends so."""
        return [
            token
            for begun, tokens in self._completing
            if text[max(0, len(text) - len(begun)) :] == begun
            for token in tokens
        ]


def tokens_with(string: Symbols, spellings: Sequence[Symbols]) -> list[int]:
    """The tokens that write `string` by themselves, whatever else they write."""
    size = len(string)
    return [
        token
        for token, spelling in enumerate(spellings)
        if any(spelling[i : i + size] == string for i in range(len(spelling) - size + 1))
    ]
