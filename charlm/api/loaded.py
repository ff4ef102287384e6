"""A trained model, loaded to write and to be evaluated."""

import secrets
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from charlm.api.writing import Generation, Piece, Writer
from charlm.checkpoint import Checkpoint, load_checkpoint
from charlm.data import Framing, Part, TokenFile, read_texts, write_token_file
from charlm.decoding import DecodingConfig
from charlm.device import DeviceName, choose_device
from charlm.errors import ConfigError, TextError
from charlm.evaluation import Evaluation, evaluate
from charlm.location import find_checkpoint
from charlm.model import LanguageModel, StepModel, fastest_steps
from charlm.settings import pick, setting_names
from charlm.text import Tokenizer
from charlm.training import find_part

BATCH_SIZE = 64  # texts that are written together


class LoadedModel:
    """A trained model, ready to write and to be evaluated; see `charlm.load`."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.model: LanguageModel = checkpoint.model
        self.tokenizer: Tokenizer = checkpoint.tokenizer

    def generate(self, prompt: str = "", *, seed: int | None = None, **settings: Any) -> str:
        """Write on from `prompt` and return the whole text, the prompt included.

        Args:
            prompt: what the text begins with; characters or words never seen are `<other>`.
            seed: the same seed gives the same text; None draws one.
            settings: those of `DecodingConfig`, such as temperature=0.8 or beam=5.

        Raises:
            ConfigError: a setting is unknown, of another type or out of range, or names tokens
                that the model does not know.
        """
        config = decoding_config(settings)
        if config.num_return_sequences > 1:
            raise ConfigError("generate returns one text; use generate_many for several.")
        (generation,) = self.generate_many([prompt], config, seed=seed)
        return prompt + generation.text

    def generate_many(
        self,
        prompts: Sequence[str],
        config: DecodingConfig,
        *,
        seed: int | None = None,
        batch_size: int = BATCH_SIZE,
        alternatives: int = 0,
    ) -> Iterator[Generation]:
        """`config.num_return_sequences` texts after each prompt, in the prompts' order.

        Samples come in the order of their number, what a search finds best first. A prompt's texts
        are the same whatever other prompts there are. With `alternatives` each comes with its
        tokens, and so many of the likeliest at each place.

        Raises:
            ConfigError: the configuration names tokens that the model does not know, the seed is
                below 0 or the batch size below 1; or later, no token is left to write.
        """
        writer = self.writer(config)
        generations = writer.write(prompts, draw_seed() if seed is None else seed, batch_size)
        if not alternatives:
            return generations
        return (replace(g, choices=writer.choices(g, alternatives)) for g in generations)

    def stream(self, prompt: str, config: DecodingConfig, *, seed: int) -> Iterator[str]:
        """The text after the prompt, in pieces as they become certain."""
        for piece in self.pieces([prompt], config, seed=seed):
            if piece.text:
                yield piece.text

    def pieces(
        self,
        prompts: Sequence[str],
        config: DecodingConfig,
        *,
        seed: int,
        batch_size: int = BATCH_SIZE,
    ) -> Iterator[Piece]:
        """Texts as they are written, `batch_size` at a time; those of a search come whole.

        Text number i of a prompt is the same under a seed whatever is drawn beside it.
        """
        return self.writer(config).pieces(prompts, seed, batch_size)

    def writer(self, config: DecodingConfig) -> Writer:
        """What writes under a configuration."""
        return Writer(self._steps, self.tokenizer, config)

    @cached_property
    def _steps(self) -> StepModel:
        return fastest_steps(self.model, torch.get_num_threads())

    def evaluate(self, text: str) -> Evaluation:
        """Measure a text exactly, framed as the training text was."""
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            return self.evaluate_files([file.name])

    def evaluate_files(self, paths: Sequence[str]) -> Evaluation:
        """Measure files (`-` is standard input) exactly, as one text.

        Raises:
            TextError: a file cannot be read or is empty.
        """
        config = self.checkpoint.config
        assert config.corpus.frame is not None
        framing = Framing(frame=config.corpus.frame, pretokenized=config.text.pretokenized)
        part = read_texts(paths, framing, any_bytes=config.text.level == "byte")
        with tempfile.TemporaryDirectory(prefix="charlm-") as folder:
            tokens = write_token_file(Path(folder) / "text.tokens", part.pieces(), self.tokenizer)
            return self._evaluate(tokens)

    def evaluate_split(self, part: Part) -> Evaluation:
        """Measure a part of the training corpus exactly.

        Raises:
            CheckpointError: the corpus has changed or is gone.
            TextError: the part is empty.
        """
        tokens = find_part(self.checkpoint.config, self.tokenizer, part)
        if len(tokens) == 0:
            raise TextError(
                f"the corpus of {self.checkpoint.folder} has no {part} part; choose another "
                "--split, or name a text."
            )
        return self._evaluate(tokens)

    def _evaluate(self, tokens: TokenFile) -> Evaluation:
        independent = self.checkpoint.config.corpus.independent_frames
        return evaluate(self.model, tokens, self.tokenizer, independent_frames=independent)


def load(checkpoint: str | Path | None = None, device: DeviceName = "auto") -> LoadedModel:
    """Load a trained model: a checkpoint folder, or the newest under `checkpoints/`.

    Raises:
        CheckpointError: there is none, or it is damaged.
        ConfigError: this machine has no such device.
    """
    folder = find_checkpoint(Path(checkpoint) if checkpoint is not None else None)
    return LoadedModel(load_checkpoint(folder, choose_device(device)))


def decoding_config(settings: dict[str, Any]) -> DecodingConfig:
    """Settings by name, as a `DecodingConfig`.

    Raises:
        ConfigError: one is unknown, of another type or out of range.
    """
    settings = {
        k: (v,) if k in ("stop", "ban") and isinstance(v, str) else v for k, v in settings.items()
    }
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    if unknown := set(settings) - setting_names(DecodingConfig):
        raise ConfigError(f"unknown settings of generate: {', '.join(sorted(unknown))}.")
    return DecodingConfig(**pick(DecodingConfig, settings))


def draw_seed() -> int:
    """A seed nobody chose."""
    return secrets.randbits(32)
