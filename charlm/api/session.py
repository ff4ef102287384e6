"""A text that a person and a model write by turns."""

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from charlm.api.loaded import LoadedModel
from charlm.api.writing import Generation
from charlm.decoding import DecodingConfig
from charlm.errors import ConfigError


class Session:
    """The text so far, in the parts in which it came: the last ones can be taken back.

    Every continuation has a seed of its own, so trying again gives another one, and the same
    moves under the same first seed the same text.
    """

    def __init__(self, lm: LoadedModel, config: DecodingConfig, seed: int) -> None:
        self._lm = lm
        self.config = config
        self._seed = seed
        self._parts: list[tuple[str, bool]] = []  # text, and whether the model wrote it

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(text for text, _ in self._parts)

    def add(self, text: str) -> None:
        """What the person writes, with the space before it that a word model would write."""
        self._parts.append((self._gap(text) + text, False))

    def go_on(self) -> Generator[str]:
        """The model goes on, in pieces; what has come when the iterator is closed stays."""
        self._seed += 1
        written = ""
        pieces = self._lm.stream(self.text, self.config, seed=self._seed)
        try:
            for piece in pieces:
                written += piece
                yield piece
        finally:
            if written:
                self._parts.append((written, True))

    def undo(self) -> str:
        """Take the last part back; what it was, or nothing where there is none."""
        return self._parts.pop()[0] if self._parts else ""

    def retry(self) -> Generator[str]:
        """Take the model's last words back, and let it go on otherwise.

        Raises:
            ConfigError: the last words are not the model's.
        """
        if not self._parts or not self._parts[-1][1]:
            raise ConfigError("the model has not written last; press Enter to let it go on.")
        return self._instead(self._parts.pop())

    def offer(self, number: int) -> list[Generation]:
        """Several continuations to choose from.

        Raises:
            ConfigError: the number is none that can be drawn.
        """
        self._seed += 1
        config = self._changed(num_return_sequences=number)
        return list(self._lm.generate_many([self.text], config, seed=self._seed))

    def choose(self, generation: Generation) -> None:
        """Go on with one that was offered."""
        if generation.text:
            self._parts.append((generation.text, True))

    def change(self, **settings: Any) -> None:
        """Decode otherwise from now on.

        Raises:
            ConfigError: a setting is out of range or has no effect.
        """
        self.config = self._changed(**settings)

    def reset(self, name: str) -> None:
        """Give a setting its default."""
        self.change(**{name: getattr(DecodingConfig(), name)})

    def clear(self) -> None:
        """Begin anew."""
        self._parts.clear()

    def _instead(self, before: tuple[str, bool]) -> Generator[str]:
        parts = len(self._parts)
        try:
            yield from self.go_on()
        finally:
            if len(self._parts) == parts:  # nothing has come: what there was stays
                self._parts.append(before)

    def _gap(self, text: str) -> str:
        tokenizer = self._lm.tokenizer
        if tokenizer.level != "word" or not self._parts or text[:1].isspace():
            return ""
        decoder = tokenizer.decoder_after(self.text)
        written = "".join(decoder.push(token) for token in tokenizer.encode(text))
        return " " if written.startswith(" ") else ""

    def _changed(self, **settings: Any) -> DecodingConfig:
        return replace(self.config, **settings)
