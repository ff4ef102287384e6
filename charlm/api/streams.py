"""Streaming text of one continuation, and the stop strings that end it."""

from collections.abc import Sequence
from typing import Protocol, Self

from charlm.decoding import DecodingConfig
from charlm.text import StreamDecoder, Tokenizer


class TextStream(Protocol):
    """Interface that turns tokens into text as they come; released text is final."""

    stopped: bool  # by a stop string

    def push(self, token: int) -> bool:
        """Add the next token, except `<stop>`; return True if a stop string ends the text."""
        ...

    def finish(self) -> None:
        """Release the text held back; no more tokens may follow."""
        ...

    def take(self) -> str:
        """Return the text released since the last call."""
        ...

    def copy(self) -> Self:
        """Return an independent copy with the same tokens and no released text."""
        ...


class ForwardStream:
    """Text that follows a prompt.

    A stop string may span several tokens, so text that may be the beginning of one is held back
    until that is decided. The text ends before the stop string that is completed first; of stop
    strings that end at the same character, the longest counts.
    """

    def __init__(self, decoder: StreamDecoder, config: DecodingConfig) -> None:
        self._decoder = decoder
        self._stops = config.stop
        self._min_tokens = config.min_new_tokens
        self._num_tokens = 0
        self._held = ""
        self._released = ""
        self.stopped = False  # by a stop string

    def push(self, token: int) -> bool:
        self._num_tokens += 1
        self._add(self._decoder.push(token))
        return self.stopped

    def finish(self) -> None:
        if not self.stopped:
            self._add(self._decoder.finish())
        if not self.stopped:
            self._released, self._held = self._released + self._held, ""

    def take(self) -> str:
        released, self._released = self._released, ""
        return released

    def copy(self) -> "ForwardStream":
        other = object.__new__(ForwardStream)
        other.__dict__.update(self.__dict__)
        other._released = ""  # `self` still returns it
        other._decoder = self._decoder.copy()
        return other

    def _add(self, text: str) -> None:
        if self._num_tokens < self._min_tokens or not self._stops:
            self._released += text
            return
        self._held += text
        found = [(self._held.find(stop), stop) for stop in self._stops]
        ends = [(start + len(stop), start) for start, stop in found if start >= 0]
        if ends:
            _, start = min(ends)
            self._released += self._held[:start]
            self._held, self.stopped = "", True
            return
        certain = len(self._held) - undecided(self._held, self._stops)
        self._released += self._held[:certain]
        self._held = self._held[certain:]


class BackwardStream:
    """Text that precedes an ending; its tokens come in reverse order.

    The spelling of a token depends on the tokens before it in the text, which are generated later.
    All text is therefore released at the end. The text begins after the stop string that is
    completed first.
    """

    def __init__(self, tokenizer: Tokenizer, ending: Sequence[int], config: DecodingConfig) -> None:
        self._tokenizer = tokenizer
        self._ending = tuple(ending)
        self._stops = config.stop
        self._min_tokens = config.min_new_tokens
        self._tokens: tuple[int, ...] = ()  # in order of generation, last token of the text first
        self._released = ""
        self.stopped = False

    def push(self, token: int) -> bool:
        self._tokens += (token,)
        if self._stops and len(self._tokens) >= self._min_tokens:
            text = self._text(self._tokens)
            # As in `ForwardStream`, stop strings in the first tokens do not count.
            searched = len(text) - len(self._text(self._tokens[: max(0, self._min_tokens - 1)]))
            found = [(text.rfind(stop, 0, searched), len(stop)) for stop in self._stops]
            if (begin := max(found))[0] >= 0:
                self._released, self.stopped = text[sum(begin) :], True
        return self.stopped

    def finish(self) -> None:
        if not self.stopped:
            self._released = self._text(self._tokens)

    def take(self) -> str:
        released, self._released = self._released, ""
        return released

    def copy(self) -> "BackwardStream":
        other = object.__new__(BackwardStream)
        other.__dict__.update(self.__dict__)
        other._released = ""
        return other

    def _text(self, tokens: tuple[int, ...]) -> str:
        decode = self._tokenizer.decode
        whole = decode((*reversed(tokens), *self._ending))
        return whole.removesuffix(decode(self._ending))


def undecided(text: str, stops: tuple[str, ...]) -> int:
    """Return how many characters at the end of `text` may begin a stop string."""
    longest = min(len(text), max(map(len, stops)) - 1)
    for length in range(longest, 0, -1):
        if any(stop.startswith(text[len(text) - length :]) for stop in stops):
            return length
    return 0
