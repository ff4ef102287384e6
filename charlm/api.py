"""Text in, text out: a trained model with its tokenizer."""

import secrets
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from charlm.checkpoint import Checkpoint, load_checkpoint
from charlm.data import Framing, Part, TokenFile, read_texts, write_token_file
from charlm.decoding import DecodingConfig, beam_search, generate_tokens
from charlm.device import DeviceName, choose_device
from charlm.errors import ConfigError, TextError
from charlm.evaluation import Evaluation, evaluate
from charlm.location import find_checkpoint
from charlm.model import LanguageModel
from charlm.settings import pick, setting_names
from charlm.text import StreamDecoder, Tokenizer
from charlm.training import find_part


@dataclass(frozen=True, slots=True)
class Generation:
    """One text written by a model."""

    prompt: str
    text: str  # what follows the prompt
    log_prob: float | None = None  # of a beam's text, in nats, `<stop>` included if reached
    score: float | None = None  # log_prob / length ** length_penalty
    finished: bool | None = None  # a beam's text ended by itself, not at max_new_tokens


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
            ConfigError: a setting is unknown, of another type or out of range.
        """
        config = decoding_config(settings)
        if config.num_return_sequences > 1:
            raise ConfigError("generate returns one text; use generate_many for several.")
        return prompt + self.generate_many(prompt, config, seed=seed)[0].text

    def generate_many(
        self, prompt: str, config: DecodingConfig, *, seed: int | None = None
    ) -> list[Generation]:
        """`config.num_return_sequences` texts: samples in order, or a beam's best first."""
        if config.beam is not None:
            return self.search(prompt, config)
        seed = draw_seed() if seed is None else seed
        return [
            Generation(prompt, "".join(self.stream(prompt, config, seed=seed, index=index)))
            for index in range(config.num_return_sequences)
        ]

    def stream(
        self, prompt: str, config: DecodingConfig, *, seed: int, index: int = 0
    ) -> Iterator[str]:
        """The text after the prompt, in pieces as they become certain.

        Sample `index` under a seed is the same whatever others are drawn.
        """
        ids, decoder = self._read(prompt)
        for token in generate_tokens(
            self.model,
            ids,
            config,
            barred=self._barred(config),
            stop_id=self.tokenizer.stop_id,
            generator=sample_generator(seed, index),
        ):
            if piece := decoder.push(token):
                yield piece
        if rest := decoder.finish():
            yield rest

    def search(self, prompt: str, config: DecodingConfig) -> list[Generation]:
        """The texts that beam search finds, best first."""
        ids, _ = self._read(prompt)
        hypotheses = beam_search(
            self.model,
            ids,
            config,
            barred=self._barred(config),
            stop_id=self.tokenizer.stop_id,
        )
        generations = []
        for found in hypotheses[: config.num_return_sequences]:
            _, decoder = self._read(prompt)
            text = "".join([decoder.push(token) for token in found.tokens]) + decoder.finish()
            generations.append(
                Generation(prompt, text, found.log_prob, found.score, found.finished)
            )
        return generations

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

    def _read(self, prompt: str) -> tuple[list[int], StreamDecoder]:
        ids = [self.tokenizer.start_id, *self.tokenizer.encode(prompt)]
        decoder = self.tokenizer.decoder()
        for token in ids:
            decoder.push(token)  # so that spacing goes on from the prompt
        return ids, decoder

    def _barred(self, config: DecodingConfig) -> list[int]:
        other = [] if config.allow_other else [self.tokenizer.other_id]
        return [self.tokenizer.start_id, *other]


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
    if unknown := set(settings) - setting_names(DecodingConfig):
        raise ConfigError(f"unknown settings of generate: {', '.join(sorted(unknown))}.")
    return DecodingConfig(**pick(DecodingConfig, settings))


def draw_seed() -> int:
    """A seed nobody chose."""
    return secrets.randbits(32)


def sample_generator(seed: int, index: int) -> torch.Generator:
    """The randomness of one sample, independent of how many others there are."""
    state = np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]) >> 1)
