"""Prompts to texts: by sampling in batches, or by search."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice

import numpy as np
import torch

from charlm.api.lengths import Lengths, find_lengths
from charlm.api.prompt_frames import WHOLE, PromptFrames
from charlm.api.rules import token_rules
from charlm.api.streams import BackwardStream, ForwardStream, TextStream
from charlm.data import Direction
from charlm.decoding import (
    BeamStep,
    DecodingConfig,
    End,
    Hypothesis,
    Rules,
    beam_search,
    beam_steps,
    exhaustive_search,
    generate_tokens,
    read_prompts,
    sample_without_replacement,
)
from charlm.device import arithmetic
from charlm.errors import ConfigError
from charlm.model import StepModel
from charlm.text import Tokenizer

LENGTH = -1  # no token: what the randomness of lengths begins with


@dataclass(frozen=True, slots=True)
class Choice:
    """One token of a text, among what else might have stood there."""

    token: str
    log_prob: float  # natural logarithm, the model's own, whatever was barred or favoured
    alternatives: tuple[tuple[str, float], ...]  # the most probable tokens, best first
    text: str | None = None  # what it adds to the text, spaces between words included


@dataclass(frozen=True, slots=True)
class Generation:
    """One text written by a model."""

    prompt: str  # or the ending, of a model that reads backwards
    text: str  # what follows the prompt, or comes before the ending
    tokens: tuple[int, ...]  # of the text, and of the `<stop>` or the stop string that ended it
    end: End
    log_prob: float | None = None  # of a text that was searched for, in nats
    score: float | None = None  # what a search ranked it by
    choices: tuple[Choice, ...] | None = None  # a token each, where they were asked for
    start: int | None = None  # what stood in place of `<start>`, where a length was told


@dataclass(slots=True)  # not frozen: one is made for every token, and that takes time
class Piece:
    """More of the text with this index; the last one says what ended it."""

    index: int
    prompt: str
    text: str  # what has become certain; may be empty
    token: int | None  # the token that has come
    end: End | None = None
    start: int | None = None  # as of `Generation`


class Writer:
    """A model's steps and its tokenizer, writing under one configuration.

    A model that reads backwards is given endings for prompts, and writes what leads up to them.
    `frames` says how prompts with line breaks are taken; by default a prompt is one frame.

    Raises:
        ConfigError: the configuration names tokens that the model does not know.
    """

    def __init__(
        self,
        model: StepModel,
        tokenizer: Tokenizer,
        config: DecodingConfig,
        direction: Direction = "forward",
        lengths: Lengths | None = None,
        frames: PromptFrames = WHOLE,
    ) -> None:
        self._lengths = lengths
        self._frames = frames
        self._model, self._tokenizer, self.config = model, tokenizer, config
        self._backward = direction == "backward"
        # Finds mistakes before anything is written.
        self._rules = token_rules(config, tokenizer, direction)
        self._searches = config.mode not in ("sampling", "greedy")

    def write(self, prompts: Sequence[str], seed: int, batch_size: int) -> Iterator[Generation]:
        """`num_return_sequences` texts after each prompt, in the prompts' order.

        Raises:
            ConfigError: the seed is below 0, or the batch size below 1.
        """
        check_drawing(seed, batch_size)
        if self._searches:
            return (found for prompt in prompts for found in self.search(prompt, seed))
        return collect(self.sample(prompts, seed, batch_size))

    def pieces(self, prompts: Sequence[str], seed: int, batch_size: int) -> Iterator[Piece]:
        """The same in pieces, as they become certain; what a search finds is one piece each."""
        check_drawing(seed, batch_size)
        if not self._searches:
            return self.sample(prompts, seed, batch_size)
        texts = enumerate(self.write(prompts, seed, batch_size))
        return (Piece(index, text.prompt, text.text, None, text.end) for index, text in texts)

    def sample(self, prompts: Sequence[str], seed: int, batch_size: int) -> Iterator[Piece]:
        """Write `num_return_sequences` texts after each prompt, `batch_size` at a time.

        Text `index` is number `index % num_return_sequences` of its prompt. The seed, the prompt
        and that number are all its randomness.
        """
        number = self.config.num_return_sequences
        jobs = ((prompt, i) for prompt in prompts for i in range(number))
        first = 0
        while batch := list(islice(jobs, batch_size)):
            yield from self._sample_batch(first, batch, seed)
            first += len(batch)

    def search(self, prompt: str, seed: int) -> list[Generation]:
        """The texts that beam or exhaustive search finds, or different samples, best first."""
        ids, stream = self._read(prompt)
        rules = self._search_rules(stream)
        ids = self._begin(ids)
        start = None if self._lengths is None else ids[0]
        match self.config.mode:
            case "exhaustive":
                found = exhaustive_search(self._model, ids, self.config, rules)
            case "beam":
                found = beam_search(self._model, ids, self.config, rules)
            case _:
                found = sample_without_replacement(
                    self._model, ids, self.config, rules, seed=sample_seed(seed, 0, ids)
                )
        wanted = found[: self.config.num_return_sequences]
        found_texts = (self._read_hypothesis(prompt, stream, each) for each in wanted)
        return [replace(text, start=start) for text in found_texts]

    def text(self, prompt: str, tokens: Sequence[int]) -> str:
        """What tokens after a prompt say."""
        _, stream = self._read(prompt)
        return read_tokens(stream, tokens)

    def is_stop(self, token: int) -> bool:
        """Whether a token is `<stop>`."""
        return token == self._rules.stop_id

    def beam_steps(self, prompt: str) -> Iterator[BeamStep]:
        """How a beam search goes."""
        ids, stream = self._read(prompt)
        return beam_steps(self._model, self._begin(ids), self.config, self._search_rules(stream))

    def choices(self, generation: Generation, alternatives: int) -> tuple[Choice, ...]:
        """Each token of a text, with the most probable ones at its place.

        Where a stop string ended the text, its tokens are among them.
        """
        ids, _ = self._read(generation.prompt)
        assert not self._backward
        _, continued = self._frames.split(generation.prompt)
        spell, decoder = self._tokenizer.token, self._tokenizer.decoder_after(continued)
        choices: list[Choice] = []
        with arithmetic():
            start = ids[0] if generation.start is None else generation.start
            logits, state = read_prompts(self._model, [[start, *ids[1:]]])
            for place, token in enumerate(generation.tokens, 1):
                log_probs = logits[0].cpu().double().log_softmax(-1)
                best = log_probs.topk(min(alternatives, len(log_probs)))
                pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
                likely = tuple((spell(other), value) for other, value in pairs)
                text = spell(token) if self.is_stop(token) else decoder.push(token)
                if place == len(generation.tokens):
                    text = (
                        decoder.finish() + text if self.is_stop(token) else text + decoder.finish()
                    )
                choices.append(Choice(spell(token), float(log_probs[token]), likely, text))
                if place < len(generation.tokens):
                    after = torch.tensor([token], device=logits.device)
                    logits, state = self._model.step(after, state)
        return tuple(choices)

    def _sample_batch(
        self, first: int, jobs: Sequence[tuple[str, int]], seed: int
    ) -> Iterator[Piece]:
        read = {prompt: self._read(prompt) for prompt in dict(jobs)}
        streams = [read[prompt][1].copy() for prompt, _ in jobs]
        going = set(range(len(jobs)))
        begun = [self._begin(read[prompt][0], seed, number) for prompt, number in jobs]
        told = [None if self._lengths is None else ids[0] for ids in begun]
        steps = generate_tokens(
            self._model,
            begun,
            self.config,
            self._rules,
            generators=[sample_generator(seed, number, read[prompt][0]) for prompt, number in jobs],
            watches=streams,
        )
        for step in steps:
            for row, token in zip(step.rows, step.tokens, strict=True):
                end: End | None = None
                if token == self._rules.stop_id:
                    streams[row].finish()
                    end = "<stop>"
                elif streams[row].stopped:
                    end = "stop string"
                if end is not None:
                    going.remove(row)
                text = streams[row].take()
                yield Piece(first + row, jobs[row][0], text, token, end, told[row])
        for row in sorted(going):
            streams[row].finish()
            end = "stop string" if streams[row].stopped else "length"
            yield Piece(first + row, jobs[row][0], streams[row].take(), None, end, told[row])

    def _search_rules(self, stream: TextStream) -> Rules:
        watch = stream.copy if self.config.stop else None
        return replace(self._rules, watch=watch)

    def _read(self, prompt: str) -> tuple[list[int], TextStream]:
        """The prompt's ids, those of earlier frames first, and the stream of what follows it."""
        _, continued = self._frames.split(prompt)
        start, ids = self._tokenizer.start_id, self._tokenizer.encode(continued)
        begun = [*self._frames.encode_context(prompt, self._tokenizer), start]
        if self._backward:
            return [*begun, *reversed(ids)], BackwardStream(self._tokenizer, ids, self.config)
        return [*begun, *ids], ForwardStream(self._tokenizer.decoder_after(continued), self.config)

    def _begin(self, ids: list[int], seed: int | None = None, number: int = 0) -> list[int]:
        """A prompt that tells how long the text will be, if the model wants to know.

        Sample `number` under a seed has a length drawn for it; without a seed, or where nothing is
        drawn, it is the most probable one.
        """
        if self._lengths is None:
            return ids
        least = len(ids) - 1 + self.config.min_new_tokens
        if seed is None or self.config.mode != "sampling":
            return [self._lengths.likeliest(least), *ids[1:]]
        return [self._lengths.draw(least, sample_seed(seed, number, [LENGTH, *ids])), *ids[1:]]

    def _read_hypothesis(self, prompt: str, stream: TextStream, found: Hypothesis) -> Generation:
        text, tokens = read_tokens(stream.copy(), found.tokens), found.tokens
        if found.end == "<stop>":
            tokens = (*tokens, self._rules.stop_id)
        return Generation(prompt, text, tokens, found.end, found.log_prob, found.score)


def check_drawing(seed: int, batch_size: int) -> None:
    """A seed and a batch size that texts can be drawn with.

    Raises:
        ConfigError: they are out of range.
    """
    if seed < 0:
        raise ConfigError(f"seed must be 0 or more, not {seed}.")
    if batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1, not {batch_size}.")


def read_tokens(stream: TextStream, tokens: Sequence[int]) -> str:
    """The text of all tokens of a continuation."""
    for token in tokens:
        stream.push(token)
    stream.finish()
    return stream.take()


def in_order(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces of the first text, then those of the next: each as soon as it can come.

    If the writing is interrupted, the texts that are complete come before the interruption.
    """
    waiting: dict[int, list[Piece]] = {}
    due = 0
    try:
        for piece in pieces:
            waiting.setdefault(piece.index, []).append(piece)
            while due in waiting:
                ready = waiting.pop(due)
                yield from ready
                if ready[-1].end is None:
                    break
                due += 1
    except (KeyboardInterrupt, ConfigError):
        for index in sorted(waiting):
            if waiting[index][-1].end is not None:
                yield from waiting[index]
        raise


def collect(pieces: Iterable[Piece]) -> Iterator[Generation]:
    """The texts that pieces make, in order."""
    for _, text in groupby(in_order(pieces), key=lambda piece: piece.index):
        parts = list(text)
        end = parts[-1].end
        if end is not None:
            tokens = tuple(piece.token for piece in parts if piece.token is not None)
            whole = "".join(piece.text for piece in parts)
            yield Generation(parts[0].prompt, whole, tokens, end, start=parts[0].start)


def sample_text(
    model: StepModel,
    tokenizer: Tokenizer,
    config: DecodingConfig,
    direction: Direction = "forward",
    *,
    seed: int,
) -> str:
    """One text by a model as it is at the moment, without a prompt."""
    lengths = find_lengths(model)
    pieces = Writer(model, tokenizer, config, direction, lengths).sample([""], seed, 1)
    return "".join(piece.text for piece in pieces)


def sample_generator(seed: int, number: int, prompt: Sequence[int]) -> torch.Generator:
    """The randomness of one sample, independent of how many others there are."""
    return torch.Generator().manual_seed(sample_seed(seed, number, prompt))


def sample_seed(seed: int, number: int, prompt: Sequence[int]) -> int:
    """A seed of its own for sample `number` of a prompt, token ids.

    The prompt counts, too: with the same numbers, likely continuations of one are those of
    another. So does all of `seed`, of which torch would look at the last 32 bits.
    """
    octets = np.array(prompt, dtype="<i8").tobytes()
    digest = int.from_bytes(hashlib.blake2b(octets, digest_size=8).digest(), "big")
    state = np.random.SeedSequence([seed, number, digest]).generate_state(1, np.uint64)
    return int(state[0]) >> 1
