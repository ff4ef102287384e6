"""Special tokens, bans and stop strings, as token ids and symbols."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

Symbols = tuple[int, ...]


class TextWatch(Protocol):
    """Interface that follows the text of one row and detects stop strings."""

    def push(self, token: int) -> bool:
        """Add the next token; return True if a stop string ends the text."""
        ...

    def copy(self) -> Self:
        """Return an independent copy, for hypotheses with a shared prefix."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """Special token ids, biases, banned strings and stop strings."""

    vocab_size: int
    stop_id: int
    barred: tuple[int, ...] = ()  # masked at every step
    bias: Mapping[int, float] = field(default_factory=dict)  # added to logits
    bans: "Bans | None" = None
    watch: Callable[[], TextWatch] | None = (
        None  # starts a watch after the prompt; None: no stop strings
    )


class Bans:
    """Strings of symbols that are never generated, in any tokenization.

    Single tokens that contain a banned string must be masked separately; see `tokens_with`.

    Args:
        strings: banned strings, each of at least one symbol.
        spellings: symbols of each token, by id: the token itself for a character model, its bytes
            for a BPE model.
    """

    def __init__(self, strings: Sequence[Symbols], spellings: Sequence[Symbols]) -> None:
        self._spellings = spellings
        self._memory = max(map(len, strings)) - 1
        # (end of the text, tokens that would complete a banned string after it)
        self._completing: list[tuple[Symbols, list[int]]] = []
        for string in strings:
            for k in range(1, len(string)):
                rest = string[k:]
                tokens = [
                    i for i, spelling in enumerate(spellings) if spelling[: len(rest)] == rest
                ]
                self._completing.append((string[:k], tokens))

    def extend(self, text: Symbols, token: int) -> Symbols:
        """Return the relevant end of a text after one more token, given that end before it."""
        longer = text + self._spellings[token]
        return longer[max(0, len(longer) - self._memory) :]

    def completing(self, text: Symbols) -> list[int]:
        """Return the tokens that would complete a banned string after a text with this end."""
        return [
            token
            for begun, tokens in self._completing
            if text[max(0, len(text) - len(begun)) :] == begun
            for token in tokens
        ]


def tokens_with(string: Symbols, spellings: Sequence[Symbols]) -> list[int]:
    """Return the tokens whose spelling contains `string`."""
    size = len(string)
    return [
        token
        for token, spelling in enumerate(spellings)
        if any(spelling[i : i + size] == string for i in range(len(spelling) - size + 1))
    ]
