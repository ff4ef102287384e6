"""Splitting of prompts into frames: one frame is continued, the others are context.

For a model of lines, the prompt `Ann: hi⏎Bob: hello⏎Ann:` is two whole lines and the beginning of
a third. A backward model continues the first frame after reading those that follow it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from charlm.checkpoint import Checkpoint
from charlm.data import Direction, Framing
from charlm.text import Tokenizer

BREAKS = {"line": "\n", "paragraph": "\n\n", "document": ""}  # written between two frames


@dataclass(frozen=True, slots=True)
class PromptFrames:
    """Rules for splitting prompts into frames."""

    framing: Framing
    direction: Direction = "forward"
    independent: bool = False  # read each frame without the others

    def split(self, prompt: str) -> tuple[list[str], str]:
        """Return the context frames in reading order, and the frame that is continued."""
        separator = self.framing.frame_break
        if separator is None:
            return [], prompt
        frames = separator.split(prompt)
        if self.direction == "backward":
            continued, *context = frames
            context.reverse()
        else:
            *context, continued = frames
        return [f for f in context if f.strip() or self.framing.keeps_blank], continued

    def frames(self, prompt: str) -> list[str]:
        """Return all frames that the model reads; the last one is continued.

        With independent frames that is the only one.
        """
        context, continued = self.split(prompt)
        return [continued] if self.independent else [*context, continued]

    def encode_context(self, prompt: str, tokenizer: Tokenizer) -> list[int]:
        """Return the tokens of the context, each frame enclosed by `<start>` and `<stop>`."""
        ids: list[int] = []
        for frame in self.frames(prompt)[:-1]:
            own: Sequence[int] = tokenizer.encode(frame)
            if self.direction == "backward":
                own = own[::-1]
            ids += [tokenizer.start_id, *own, tokenizer.stop_id]
        return ids

    @property
    def line_break(self) -> str:
        """Text between two frames; empty if a document is a single frame."""
        return BREAKS[self.framing.frame]


WHOLE = PromptFrames(Framing(frame="document"))


def prompt_frames(checkpoint: Checkpoint) -> PromptFrames:
    """Return the rules by which the model of a checkpoint splits prompts."""
    corpus, text = checkpoint.config.corpus, checkpoint.config.text
    assert corpus.frame is not None
    framing = Framing(
        frame=corpus.frame, pretokenized=text.pretokenized, line_endings=corpus.line_endings
    )
    return PromptFrames(framing, corpus.reads, corpus.independent_frames)
