"""A loaded model that generates, evaluates and scores text."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import torch
from numpy.typing import NDArray

from charlm.api.adapting import Adaptation, adapt, check_cache, remembered
from charlm.api.evaluating import Evaluator, Follow
from charlm.api.filling import BLANK_TOKENS, Filler, Filling, check_blank
from charlm.api.labels import check_label, under_labels
from charlm.api.lengths import find_lengths
from charlm.api.prompt_frames import PromptFrames, prompt_frames
from charlm.api.scoring import By, Surprisal, score_text
from charlm.api.two_sided import TwoSidedEvaluator
from charlm.api.writing import Generation, Piece, Writer
from charlm.checkpoint import Checkpoint, load_checkpoint
from charlm.data import Direction, Frame, Part
from charlm.decoding import CachedSteps, DecodingConfig, FillingConfig
from charlm.device import DeviceName, choose_device
from charlm.errors import CheckpointError, ConfigError
from charlm.evaluation import CacheConfig, Context, Evaluation, Segment, TokenSurprisal
from charlm.location import BACKWARD, command_line, find_checkpoint
from charlm.model import LanguageModel, StepModel, fastest_steps
from charlm.settings import pick, setting_names
from charlm.temporary import temporary_file
from charlm.text import Tokenizer

ContextName = Context | Literal["both"]

BATCH_SIZE = 64  # texts generated together


class LoadedModel:
    """Trained model that generates, evaluates and scores text; created by `charlm.load`."""

    def __init__(self, checkpoint: Checkpoint, cache: CacheConfig | None = None) -> None:
        self.checkpoint = checkpoint
        self.cache = cache
        self.model: LanguageModel = checkpoint.model
        self.tokenizer: Tokenizer = checkpoint.tokenizer

    @property
    def direction(self) -> Direction:
        """Direction in which the model reads; a backward model writes what precedes its prompt."""
        return self.checkpoint.config.corpus.reads

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels that the model was trained with; empty if there are none."""
        return self.checkpoint.config.labels

    def with_label(self, label: str | Mapping[str, float]) -> "LoadedModel":
        """Return the model conditioned on a label, or on a blend of labels by weight.

        Raises:
            ConfigError: the model does not know a label, or a weight is not above 0.
        """
        weights = {label: 1.0} if isinstance(label, str) else label
        return LoadedModel(under_labels(self.checkpoint, weights), self.cache)

    @cached_property
    def backward(self) -> "LoadedModel":
        """Backward half of a bidirectional model.

        Raises:
            CheckpointError: the model is not bidirectional, its backward half has not been trained
                yet, or the halves do not belong together.
        """
        folder = self.checkpoint.folder
        if self.checkpoint.config.corpus.direction != "both":
            raise CheckpointError(
                f"{folder} reads {self.direction}s only; this needs a model trained with "
                "--direction both."
            )
        if not (folder / BACKWARD).exists():
            raise CheckpointError(
                f"the backward half of {folder} is not trained yet; go on with "
                f"`{command_line('train', '--resume', '-o', folder)}`."
            )
        half = load_checkpoint(folder / BACKWARD, self.model.device)
        check_halves(self.checkpoint, half)
        if self.model.blend is not None:
            half = replace(half, model=half.model.under(self.model.blend))
        return LoadedModel(half, self.cache)

    def fill(self, text: str, **settings: Any) -> list[Filling]:
        """Return the most probable fillings of the blanks (`___`) of a text, best first.

        Candidates are proposed from the left and from the right, and ranked by log P of the whole
        text, the mean of both directions.

        Args:
            text: a single sentence with one blank or more.
            settings: fields of `FillingConfig`, such as max_blank_tokens=3.

        Raises:
            CheckpointError: the model is not bidirectional.
            ConfigError: a setting is unknown, of the wrong type or out of range, or the model has
                a cache.
            TextError: the text has no blank.
        """
        check_blank(text)
        self._check_no_cache()
        check_known(FillingConfig, settings, "fill")
        defaults = {"max_blank_tokens": BLANK_TOKENS[self.tokenizer.level]}
        config = FillingConfig(**{**defaults, **pick(FillingConfig, settings)})
        halves = self, self.backward
        steps, evaluators = zip(*((half._steps, half.evaluator()) for half in halves), strict=True)
        return Filler(steps, evaluators).fill(text, config)

    def _check_no_cache(self) -> None:
        """Check that the model has no cache, which cannot hold the right context of a token.

        Raises:
            ConfigError: the model has a cache.
        """
        if self.cache is not None:
            raise ConfigError("a cache remembers what was read; both directions need none.")

    def generate(self, prompt: str = "", *, seed: int | None = None, **settings: Any) -> str:
        """Continue `prompt` and return the whole text, including the prompt.

        Args:
            prompt: beginning of the text, or its end for a backward model. Unknown characters or
                words become `<other>`. A model of lines or paragraphs continues the last one (a
                backward model the first) and reads the others as context.
            seed: the same seed gives the same text; None draws a random seed.
            settings: fields of `DecodingConfig`, such as temperature=0.8 or beam=5.

        Raises:
            ConfigError: a setting is unknown, of the wrong type or out of range, or names tokens
                that the model does not know; or num_return_sequences is above 1.
        """
        config = decoding_config(settings)
        if config.num_return_sequences > 1:
            raise ConfigError("generate returns one text; use generate_many for several.")
        (generation,) = self.generate_many([prompt], config, seed=seed)
        backward = self.direction == "backward"
        return generation.text + prompt if backward else prompt + generation.text

    def generate_many(
        self,
        prompts: Sequence[str],
        config: DecodingConfig,
        *,
        seed: int | None = None,
        batch_size: int = BATCH_SIZE,
        alternatives: int = 0,
    ) -> Iterator[Generation]:
        """Yield `config.num_return_sequences` texts for each prompt, in the order of the prompts.

        Samples come in the order of their number, search results best first. The texts of a prompt
        do not depend on the other prompts.

        Args:
            prompts: as in `generate`.
            config: how the texts are decoded.
            seed: 0 or more; None draws a random seed.
            batch_size: number of texts generated together.
            alternatives: number of most probable tokens to list for each token in
                `Generation.choices`; 0 leaves `choices` out.

        Raises:
            ConfigError: the configuration names tokens that the model does not know, the seed is
                below 0, the batch size is below 1, or the model needs a label; during iteration,
                all tokens are banned.
        """
        writer = self.writer(config)
        generations = writer.write(prompts, draw_seed() if seed is None else seed, batch_size)
        if not alternatives:
            return generations
        return (replace(g, choices=writer.choices(g, alternatives)) for g in generations)

    def stream(self, prompt: str, config: DecodingConfig, *, seed: int) -> Iterator[str]:
        """Yield the text after the prompt in pieces, each as soon as it is final."""
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
        """Yield texts in pieces as they are generated, `batch_size` at a time.

        Each text found by a search is a single piece. With a given seed, text number i of a prompt
        does not depend on the other texts in the batch.
        """
        return self.writer(config).pieces(prompts, seed, batch_size)

    def writer(self, config: DecodingConfig) -> Writer:
        """Return a `Writer` with the given configuration.

        Raises:
            ConfigError: the configuration names tokens that the model does not know, or the model
                needs a label.
        """
        check_label(self.checkpoint)
        lengths = find_lengths(self.model)
        return Writer(
            self._steps, self.tokenizer, config, self.direction, lengths, self.prompt_frames
        )

    @property
    def prompt_frames(self) -> PromptFrames:
        """Rules for splitting prompts into the frames that the model was trained on."""
        return prompt_frames(self.checkpoint)

    def with_cache(self, **settings: Any) -> "LoadedModel":
        """Return the model with a neural cache, which makes recent tokens more probable.

        Args:
            settings: fields of `CacheConfig`. The others are those tuned for this model, or the
                defaults.

        Raises:
            CheckpointError: the file of tuned settings cannot be read.
            ConfigError: a setting is unknown, of the wrong type or out of range, the model predicts
                lengths, or the model needs a label.
        """
        check_known(CacheConfig, settings, "the cache")
        check_cache(self.checkpoint)
        context = self.evaluator().reading.context
        adaptation = remembered(self.checkpoint, None, pick(CacheConfig, settings), context)
        return LoadedModel(self.checkpoint, adaptation.cache)

    @cached_property
    def _steps(self) -> StepModel:
        steps = fastest_steps(self.model, torch.get_num_threads())
        if self.cache is None:
            return steps
        return CachedSteps(steps, self.tokenizer.start_id, **asdict(self.cache))

    def evaluate(self, text: str) -> Evaluation:
        """Evaluate a text exactly, framed as the training text was.

        Raises:
            TextError: the text is empty or has no token to predict.
        """
        with temporary_file([text.encode("utf-8", "surrogateescape")]) as file:
            return self.evaluator().evaluate_file(file.name, name="the text").evaluation

    def evaluate_files(self, paths: Sequence[str]) -> Evaluation:
        """Evaluate files (`-` is standard input) exactly, each by itself, and return the sum.

        Raises:
            TextError: a file cannot be read or is empty, or there are no files.
        """
        evaluator = self.evaluator()
        return evaluator.together([evaluator.evaluate_file(path) for path in paths]).evaluation

    def evaluate_split(self, part: Part) -> Evaluation:
        """Evaluate a split of the training corpus exactly.

        Raises:
            CheckpointError: the corpus has changed or is missing.
            TextError: the split is empty, or the corpus is missing.
        """
        return self.evaluator().evaluate_split(part).evaluation

    @overload
    def score(
        self, text: str, by: Literal["token"] = "token", *, context: ContextName | None = None
    ) -> Iterator[TokenSurprisal]: ...
    @overload
    def score(
        self,
        text: str,
        by: Literal["word", "sentence", "line"],
        *,
        context: ContextName | None = None,
    ) -> Iterator[Segment]: ...
    def score(
        self, text: str, by: By = "token", *, context: ContextName | None = None
    ) -> Iterator[Surprisal]:
        """Yield the surprisal of each token of a text, or of each word, sentence or line.

        Args:
            text: framed as the training text was; the `<stop>` of each frame is also scored.
            by: unit to sum over; see `charlm.evaluation.segments`.
            context: `stream` predicts from all of the text before a token, `frame` from its frame
                alone, `both` from the left and the right; by default as the model was trained.

        Raises:
            CheckpointError: `context` is `both` and the model is not bidirectional.
            ConfigError: `by` is unknown, or is `word` for a model that cannot compute word ends.
            TextError: the text is empty, or has characters that are not valid text.
        """
        return score_text(self.evaluator(context=context), text, by)

    def log_probs(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return log P in nats of each text as a separate sentence; see `Evaluator.log_probs`."""
        return self.evaluator().log_probs(texts)

    def evaluator(
        self,
        *,
        context: ContextName | None = None,
        frame: Frame | None = None,
        follow: Follow | None = None,
    ) -> Evaluator:
        """Return an evaluator that uses the model, and its cache if it has one.

        Args:
            context: `both` predicts each token from all others, with a bidirectional model; the
                other values are those of `Evaluator`.
            frame: unit that `<start>` and `<stop>` enclose; see `Evaluator`.
            follow: receives the scores during an evaluation; see `Evaluator`.

        Raises:
            CheckpointError: `context` is `both` and the model is not bidirectional.
            ConfigError: the context does not suit the model, the model needs a label, or it has a
                cache and `context` is `both`.
        """
        if context == "both":
            self._check_no_cache()
            backward = self.backward.checkpoint
            return TwoSidedEvaluator(self.checkpoint, backward, frame=frame, follow=follow)
        predictor = adapt(self.checkpoint, Adaptation(cache=self.cache))
        return Evaluator(self.checkpoint, predictor, context=context, frame=frame, follow=follow)


def check_halves(forward: Checkpoint, backward: Checkpoint) -> None:
    """Check that both halves of a bidirectional model share tokenizer, labels and text settings.

    Raises:
        CheckpointError: they do not, or the second is not a backward model.
    """
    one, other = forward.config, backward.config
    same = (one.tokenizer_sha256, one.labels, one.text) == (
        other.tokenizer_sha256,
        other.labels,
        other.text,
    )
    if not same or other.corpus.direction != "backward":
        raise CheckpointError(
            f"{backward.folder} is not the backward half of {forward.folder}; restore the pair."
        )


def load(checkpoint: str | Path | None = None, device: DeviceName = "auto") -> LoadedModel:
    """Load a trained model from a checkpoint folder, by default the newest in `checkpoints/`.

    Raises:
        CheckpointError: there is no checkpoint, or it is damaged.
        ConfigError: the device is unknown, or this machine does not have it.
    """
    folder = find_checkpoint(Path(checkpoint) if checkpoint is not None else None)
    return LoadedModel(load_checkpoint(folder, choose_device(device)))


def decoding_config(settings: dict[str, Any]) -> DecodingConfig:
    """Return a `DecodingConfig` with the settings given by name.

    Lists stand for tuples; `stop` and `ban` may be a single string.

    Raises:
        ConfigError: a setting is unknown, of the wrong type or out of range.
    """
    settings = {
        k: (v,) if k in ("stop", "ban") and isinstance(v, str) else v for k, v in settings.items()
    }
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    check_known(DecodingConfig, settings, "generate")
    return DecodingConfig(**pick(DecodingConfig, settings))


def check_known(kind: type[Any], settings: dict[str, Any], what: str) -> None:
    """Check that every setting is a field of the dataclass `kind`.

    Raises:
        ConfigError: a setting is unknown.
    """
    if unknown := set(settings) - setting_names(kind):
        raise ConfigError(f"unknown settings of {what}: {', '.join(sorted(unknown))}.")


def draw_seed() -> int:
    """Return a random seed of 32 bits."""
    return secrets.randbits(32)
