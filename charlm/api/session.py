"""Interactive session: a text that a user and a model write in turns."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

from charlm.api.loaded import LoadedModel
from charlm.api.writing import Generation
from charlm.decoding import DecodingConfig
from charlm.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Part:
    """Text written in one turn."""

    text: str
    by_model: bool
    ended: bool = False  # with `<stop>`, so the next part begins a frame


class Session:
    """Text of a session, stored by turns so that the last ones can be undone.

    With a model of lines or paragraphs, a new one begins after each that the model has ended.

    Every continuation has its own seed. A retry therefore gives another continuation, and the same
    actions with the same first seed give the same text.
    """

    def __init__(self, lm: LoadedModel, config: DecodingConfig, seed: int) -> None:
        self._lm = lm
        self.config = config
        self._seed = seed
        self._parts: list[Part] = []

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(part.text for part in self._parts)

    def add(self, text: str) -> None:
        """Append text by the user, after the space or frame break that the model would write."""
        self._parts.append(Part((self._break() or self._gap(text)) + text, by_model=False))

    def go_on(self) -> Generator[str]:
        """Yield a continuation by the model in pieces.

        If the iterator is closed early, the pieces yielded so far stay in the text.
        """
        self._seed += 1
        written, ended, new_frame = "", False, self._break()
        pieces = self._lm.pieces([self.text + new_frame], self.config, seed=self._seed)
        try:
            for piece in pieces:
                ended = piece.end == "<stop>"
                if piece.text:
                    text = piece.text if written else new_frame + piece.text
                    written += text
                    yield text
        finally:
            if written:
                self._parts.append(Part(written, by_model=True, ended=ended))
            elif ended:
                self._end()

    def undo(self) -> str:
        """Remove the last part and return its text; return an empty string if there is none."""
        return self._parts.pop().text if self._parts else ""

    def retry(self) -> Generator[str]:
        """Replace the last part, written by the model, by another continuation.

        The old part is restored if the new continuation is empty.

        Raises:
            ConfigError: the last part was not written by the model.
        """
        if not self._parts or not self._parts[-1].by_model:
            raise ConfigError("the model has not written last; press Enter to let it go on.")
        return self._instead(self._parts.pop())

    def offer(self, number: int) -> list[Generation]:
        """Return `number` continuations to choose from.

        Raises:
            ConfigError: the number is below 1, or has no effect or is too large for the decoding
                mode.
        """
        self._seed += 1
        config = self._changed(num_return_sequences=number)
        prompt = self.text + self._break()
        return list(self._lm.generate_many([prompt], config, seed=self._seed))

    def choose(self, generation: Generation) -> None:
        """Append one of the continuations returned by `offer`."""
        ended = generation.end == "<stop>"
        if generation.text:
            text = self._break() + generation.text
            self._parts.append(Part(text, by_model=True, ended=ended))
        elif ended:
            self._end()

    def change(self, **settings: Any) -> None:
        """Change decoding settings for the following continuations.

        Raises:
            ConfigError: a setting is out of range or has no effect.
        """
        self.config = self._changed(**settings)

    def reset(self, name: str) -> None:
        """Reset a decoding setting to its default."""
        self.change(**{name: getattr(DecodingConfig(), name)})

    def clear(self) -> None:
        """Start a new text."""
        self._parts.clear()

    def _instead(self, before: Part) -> Generator[str]:
        parts = list(self._parts)
        try:
            yield from self.go_on()
        finally:
            if len(self._parts) == len(parts):  # the new continuation is empty
                self._parts = [*parts, before]

    def _end(self) -> None:
        """End the frame after the last part, when the model wrote only `<stop>`."""
        if self._parts:
            self._parts[-1] = replace(self._parts[-1], ended=True)

    def _break(self) -> str:
        """Return the break before a new frame; empty unless the last part ended a frame."""
        ended = bool(self._parts) and self._parts[-1].ended
        return self._lm.prompt_frames.line_break if ended else ""

    def _gap(self, text: str) -> str:
        tokenizer = self._lm.tokenizer
        if tokenizer.level != "word" or not self._parts or text[:1].isspace():
            return ""
        _, continued = self._lm.prompt_frames.split(self.text)
        decoder = tokenizer.decoder_after(continued)
        written = "".join(decoder.push(token) for token in tokenizer.encode(text))
        return " " if written.startswith(" ") else ""

    def _changed(self, **settings: Any) -> DecodingConfig:
        return replace(self.config, **settings)
