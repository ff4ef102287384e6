"""A trained model, loaded to write and to be evaluated."""

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

BATCH_SIZE = 64  # texts that are written together


class LoadedModel:
    """A trained model, ready to write and to be evaluated; see `charlm.load`."""

    def __init__(self, checkpoint: Checkpoint, cache: CacheConfig | None = None) -> None:
        self.checkpoint = checkpoint
        self.cache = cache
        self.model: LanguageModel = checkpoint.model
        self.tokenizer: Tokenizer = checkpoint.tokenizer

    @property
    def direction(self) -> Direction:
        """Which way the model reads; backward: what it is given to write from comes last."""
        return self.checkpoint.config.corpus.reads

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the model knows, if it was trained with any."""
        return self.checkpoint.config.labels

    def with_label(self, label: str | Mapping[str, float]) -> "LoadedModel":
        """The same model, writing and reading under a label, or a blend of labels by weight.

        Raises:
            ConfigError: it knows no such label, or a weight is not above 0.
        """
        weights = {label: 1.0} if isinstance(label, str) else label
        return LoadedModel(under_labels(self.checkpoint, weights), self.cache)

    @cached_property
    def backward(self) -> "LoadedModel":
        """The half that reads backwards, of a model of both directions.

        Raises:
            CheckpointError: there is none, or it has not been trained yet.
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
        """The most probable ways to fill the blanks of a text, `___` each, best first.

        Candidates are proposed from the left and from the right, and ranked by the probability of
        the whole text, the mean of both directions' log P.

        Args:
            text: a sentence of its own.
            settings: those of `FillingConfig`, such as max_blank_tokens=3.

        Raises:
            CheckpointError: the model does not read in both directions.
            ConfigError: a setting is unknown, of another type or out of range.
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
        """What is on the right of a place cannot be remembered before it is read.

        Raises:
            ConfigError: the model has a cache.
        """
        if self.cache is not None:
            raise ConfigError("a cache remembers what was read; both directions need none.")

    def generate(self, prompt: str = "", *, seed: int | None = None, **settings: Any) -> str:
        """Write on from `prompt` and return the whole text, the prompt included.

        Args:
            prompt: what the text begins with, or, of a model that reads backwards, ends with;
                characters or words never seen are `<other>`. For a model of lines or paragraphs
                the earlier ones are context, and the last is continued.
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
        """What writes under a configuration.

        Raises:
            ConfigError: it names tokens that the model does not know, or the model needs a label.
        """
        check_label(self.checkpoint)
        lengths = find_lengths(self.model)
        return Writer(
            self._steps, self.tokenizer, config, self.direction, lengths, self.prompt_frames
        )

    @property
    def prompt_frames(self) -> PromptFrames:
        """How prompts with line breaks are taken, by the frames that the model was trained on."""
        return prompt_frames(self.checkpoint)

    def with_cache(self, **settings: Any) -> "LoadedModel":
        """The same model with a neural cache: what a text holds already comes again more easily.

        Args:
            settings: those of `CacheConfig`; the others as they were tuned for this model, or the
                default ones.

        Raises:
            ConfigError: a setting is unknown, of another type or out of range.
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
        """Measure a text exactly, framed as the training text was."""
        with temporary_file([text.encode("utf-8", "surrogateescape")]) as file:
            return self.evaluator().evaluate_file(file.name, name="the text").evaluation

    def evaluate_files(self, paths: Sequence[str]) -> Evaluation:
        """Measure files (`-` is standard input) exactly, each by itself, and sum up.

        Raises:
            TextError: a file cannot be read or is empty.
        """
        evaluator = self.evaluator()
        return evaluator.together([evaluator.evaluate_file(path) for path in paths]).evaluation

    def evaluate_split(self, part: Part) -> Evaluation:
        """Measure a part of the training corpus exactly.

        Raises:
            CheckpointError: the corpus has changed or is gone.
            TextError: the part is empty.
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
        """Surprisal of each token of a text, or of each word, sentence or line.

        Args:
            text: framed as the training text was; `<stop>` of each frame is scored, too.
            by: what to sum over; see `charlm.evaluation.segments`.
            context: predict from all of the `stream` before, or from the `frame` alone; by default
                as the model was trained. `both`: from what stands on either side.

        Raises:
            TextError: the text is empty.
        """
        return score_text(self.evaluator(context=context), text, by)

    def log_probs(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Log P in nats of each text as a sentence of its own; see `Evaluator.log_probs`."""
        return self.evaluator().log_probs(texts)

    def evaluator(
        self,
        *,
        context: ContextName | None = None,
        frame: Frame | None = None,
        follow: Follow | None = None,
    ) -> Evaluator:
        """What evaluates and scores texts with the model and its cache, if it has one.

        Args:
            context: `both` predicts each token from all others, with a model of both directions;
                else as of `Evaluator`, as are the others.
            frame: what `<start>` and `<stop>` enclose.
            follow: watches.

        Raises:
            CheckpointError: both sides are asked for, and the model reads one.
        """
        if context == "both":
            self._check_no_cache()
            backward = self.backward.checkpoint
            return TwoSidedEvaluator(self.checkpoint, backward, frame=frame, follow=follow)
        predictor = adapt(self.checkpoint, Adaptation(cache=self.cache))
        return Evaluator(self.checkpoint, predictor, context=context, frame=frame, follow=follow)


def check_halves(forward: Checkpoint, backward: Checkpoint) -> None:
    """Both halves of a model read the same text in the same tokens.

    Raises:
        CheckpointError: they do not belong together.
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
    check_known(DecodingConfig, settings, "generate")
    return DecodingConfig(**pick(DecodingConfig, settings))


def check_known(kind: type[Any], settings: dict[str, Any], what: str) -> None:
    """Every setting must be one that there is.

    Raises:
        ConfigError: one is not.
    """
    if unknown := set(settings) - setting_names(kind):
        raise ConfigError(f"unknown settings of {what}: {', '.join(sorted(unknown))}.")


def draw_seed() -> int:
    """A seed nobody chose."""
    return secrets.randbits(32)
