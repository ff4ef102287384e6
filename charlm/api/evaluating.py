"""Evaluation and scoring of texts with a model or another predictor over its vocabulary."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from charlm.api.labels import check_label, single_label
from charlm.checkpoint import Checkpoint
from charlm.data import (
    Frame,
    Framing,
    Part,
    TextPart,
    TokenFile,
    read_text,
    turn,
    turned_places,
    write_token_file,
    write_turned,
)
from charlm.errors import ConfigError, TextError
from charlm.evaluation import (
    Context,
    Evaluation,
    NetworkPredictor,
    Predictor,
    Reading,
    TokenScores,
    ending_tokens,
    evaluate,
    join_scores,
    sentence_nats,
)
from charlm.evaluation import read_text as read_tokens
from charlm.temporary import temporary_folder
from charlm.training import find_part, lengths_from

Ids = Sequence[int] | NDArray[np.uint32]

Follow = Callable[[Iterator[TokenScores], int, str], Iterator[TokenScores]]
"""Watches scores go by."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Evaluation of a text, with the fingerprint of the conditions it was made under."""

    text: str
    evaluation: Evaluation
    fingerprint: str

    def to_dict(self) -> dict[str, float | int | str]:
        """Return the measures by name, and the fingerprint."""
        return {**self.evaluation.to_dict(), "fingerprint": self.fingerprint}

    @property
    def text_fingerprint(self) -> str:
        """Part of the fingerprint that identifies the text."""
        return self.fingerprint.split("|")[1]


class Evaluator:
    """Evaluator that scores texts with a predictor over a checkpoint's vocabulary."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        predictor: Predictor | None = None,
        *,
        context: Context | None = None,
        frame: Frame | None = None,
        follow: Follow | None = None,
    ) -> None:
        """Read texts as the training text was read, except for the arguments given.

        Args:
            checkpoint: provides the vocabulary and the framing rules.
            predictor: source of the probabilities; by default the network as it was trained.
            context: text that a token is predicted from. By default the frame alone if the model
                was trained with independent frames, otherwise all of the text before the token.
            frame: unit that `<start>` and `<stop>` enclose; by default as in training.
            follow: called with the scores of a text being evaluated, their number and the name
                of the text; returns the scores. It can show progress.

        Raises:
            ConfigError: the model needs a label and none is chosen, or `context` is `stream` and
                the model has labels or predicts lengths.
        """
        corpus, text = checkpoint.config.corpus, checkpoint.config.text
        assert corpus.frame is not None
        check_label(checkpoint)
        if context == "stream" and checkpoint.config.labels:
            raise ConfigError("texts with labels are no stream; leave out --context stream.")
        if context == "stream" and checkpoint.config.model.stop_by == "length":
            raise ConfigError("a length is foretold of each frame; leave out --context stream.")
        self.checkpoint = checkpoint
        self.tokenizer = checkpoint.tokenizer
        self.predictor: Predictor = predictor or NetworkPredictor(checkpoint.model)
        self.framing = Framing(
            frame=frame or corpus.frame,
            pretokenized=text.pretokenized,
            line_endings=corpus.line_endings,
        )
        self.reading = Reading(
            start_id=self.tokenizer.start_id,
            vocab_size=self.tokenizer.vocab_size,
            context=context or ("frame" if corpus.independent_frames else "stream"),
            device=checkpoint.model.device,
            lengths_from=lengths_from(checkpoint.config.model.stop_by, self.tokenizer),
        )
        self.direction = corpus.reads
        self._follow = follow
        self._reframed = self.framing.frame != corpus.frame

    def with_predictor(self, predictor: Predictor) -> "Evaluator":
        """Return an equal evaluator with another predictor of the same vocabulary.

        Raises:
            ConfigError: the model predicts lengths, which other predictors do not support.
        """
        if self.reading.lengths_from is not None:
            raise ConfigError(
                "a model that foretells lengths is measured as it was trained; leave out --mix, "
                "--baseline, --dynamic and --cache."
            )
        frame = self.framing.frame
        return Evaluator(
            self.checkpoint,
            predictor,
            context=self.reading.context,
            frame=frame,
            follow=self._follow,
        )

    def read_file(self, path: str, name: str | None = None) -> TextPart:
        """Return the text at `path`, cut into frames; errors show `name` if it is given.

        Raises:
            TextError: the text is empty or missing.
        """
        any_bytes = self.tokenizer.level == "byte"
        return read_text(path, self.framing, any_bytes=any_bytes, name=name)

    def evaluate_file(
        self, path: str, kept: list[TokenScores] | None = None, name: str | None = None
    ) -> Measured:
        """Evaluate the text at `path` exactly; the scores of its tokens are appended to `kept`.

        Results and errors show `name` if it is given.

        Raises:
            TextError: the text cannot be read, is empty or has no token to predict.
        """
        with self.encoded(self.read_file(path, name)) as tokens:
            return self.measure(name or path, tokens, kept)

    def evaluate_split(self, part: Part, kept: list[TokenScores] | None = None) -> Measured:
        """Evaluate a split of the training corpus exactly, as `evaluate_file` does.

        Raises:
            CheckpointError: the corpus has changed or is missing.
            ConfigError: the frame differs from that of training, or the model reads under a blend
                of several labels.
            TextError: the split is empty, or the corpus is missing.
        """
        return self.measure(f"its {part} split", self.split(part), kept)

    def split(self, part: Part) -> TokenFile:
        """Return the tokens of a split of the training corpus; raises as `evaluate_split` does."""
        if self._reframed:
            raise ConfigError(
                f"--frame changes named texts only, and the {part} split of the corpus is to be "
                "read, as by --split, --tune and --mix without weights; leave --frame out."
            )
        label = single_label(self.checkpoint)
        tokens = find_part(self.checkpoint, part, label)
        if len(tokens) == 0:
            raise TextError(
                f"the corpus of {self.checkpoint.folder} has no {part} part; choose another "
                "--split, or name a text."
            )
        return tokens

    def measure(
        self, text: str, tokens: TokenFile, kept: list[TokenScores] | None = None
    ) -> Measured:
        """Evaluate an encoded text; the scores of its tokens are appended to `kept`.

        Args:
            text: name of the text in results and errors.
            tokens: its tokens, in the direction of the model.
            kept: receives the scores in the order of the text.

        Raises:
            TextError: the text has no token to predict.
        """
        if len(tokens) == 0:
            raise TextError(f"there is no token to predict in {text}; name a longer text.")
        scores = self.read(tokens, self.reading)
        if self._follow is not None:
            scores = self._follow(scores, len(tokens), text)
        if kept is not None:
            kept += self._in_order(scores, tokens)
            scores = iter(kept)
        found = evaluate(scores, tokens.counts, self.tokenizer)
        fingerprint = self.fingerprint([tokens.counts.sha256])
        return Measured(text=text, evaluation=found, fingerprint=fingerprint)

    def together(self, measured: Sequence[Measured]) -> Measured:
        """Return the sum of several measures; their order does not matter.

        Raises:
            TextError: `measured` is empty.
        """
        if not measured:
            raise TextError("there is nothing to evaluate; name a text.")
        if len(measured) == 1:
            return measured[0]
        first, *rest = (each.evaluation for each in measured)
        fingerprint = self.fingerprint(sorted(each.text_fingerprint for each in measured))
        return Measured(text="all texts", evaluation=sum(rest, first), fingerprint=fingerprint)

    def token_scores(self, text: TextPart, *, details: bool) -> Iterator[TokenScores]:
        """Yield the scores of each token of a text in order, with entropy and rank if `details`.

        The whole text is read and encoded before the first score is yielded.
        """
        reading = self.reading
        if details:
            wanted = self.tokenizer.level != "word" and self.knows_word_ends
            endings = ending_tokens(self.tokenizer) if wanted else ()
            reading = replace(reading, details=True, ending_ids=tuple(endings))
        with self.encoded(text) as tokens:
            yield from self._in_order(self.read(tokens, reading), tokens)

    def read(self, tokens: TokenFile, reading: Reading) -> Iterator[TokenScores]:
        """Yield the scores of tokens in reading order, which is reversed for a backward model."""
        return read_tokens(self.predictor, tokens.array, reading)

    @property
    def knows_word_ends(self) -> bool:
        """True if the probability of a word end can be computed, which needs the left context."""
        return self.direction == "forward"

    def _in_order(self, scores: Iterator[TokenScores], tokens: TokenFile) -> Iterator[TokenScores]:
        """Return the scores in the order of the text, also for a backward model."""
        if self.direction == "forward":
            return scores
        text = turn(tokens.array, tokens.array[:0], self.tokenizer)
        places = turned_places(text, self.tokenizer)
        return iter([join_scores(scores).take(np.argsort(places))])

    def log_probs(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return log P in nats of each text as a separate sentence: (len(texts),).

        A sentence is a frame, enclosed by `<start>` and `<stop>`. If frames are whole documents and
        a line break is a single token, line breaks enclose it instead: the first is given, the last
        predicted. Prefixes that several texts share are read once.
        """
        distinct = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        sums = self.log_probs_of(self.tokenizer.encode_batch(list(distinct)))
        found: NDArray[np.float64] = sums[[distinct[text] for text in texts]]
        return found

    def log_probs_of(self, sentences: Sequence[Ids]) -> NDArray[np.float64]:
        """Return log P of sentences given as token ids in text order; see `log_probs`."""
        given = len(self.beginning) - 1  # the first line break is given, not scored
        nats = sentence_nats(self.predictor, [self._sentence(s) for s in sentences], self.reading)
        return -np.array([float(values[given:].sum()) for values in nats])

    @property
    def beginning(self) -> tuple[int, ...]:
        """Token ids read before a separate sentence."""
        start, mark = self.tokenizer.start_id, self._line_break
        return (start,) if mark is None else (start, mark)

    def begin(self, num_tokens: int) -> tuple[int, ...]:
        """Return the token ids read before a sentence of `num_tokens` tokens.

        A model that predicts lengths reads the length in place of `<start>`.
        """
        first, *rest = self.beginning
        if self.reading.lengths_from is not None:
            first = self.reading.lengths_from + num_tokens
        return (first, *rest)

    def _sentence(self, ids: Ids) -> NDArray[np.int64]:
        mark = self._line_break
        end = self.tokenizer.stop_id if mark is None else mark
        ids = ids[::-1] if self.direction == "backward" else ids
        return np.concatenate([self.beginning, ids, [end]]).astype(np.int64)

    @cached_property
    def _line_break(self) -> int | None:
        """Line break token between the sentences of a document; None if frames are no documents.

        Also None for models with labels, whose texts are independent, and if the tokenizer has no
        single token for a line break.
        """
        if self.framing.frame != "document" or self.checkpoint.config.labels:
            return None
        ids = self.tokenizer.encode("\n")
        return ids[0] if len(ids) == 1 and ids[0] != self.tokenizer.other_id else None

    @property
    def context_name(self) -> str:
        """Name of the context in fingerprints."""
        return self.reading.context

    def fingerprint(self, texts: Sequence[str]) -> str:
        """Return the vocabulary, text and framing rules that a result depends on.

        Results with equal fingerprints are comparable.

        Args:
            texts: SHA-256 or fingerprint of each text.
        """
        digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
        name = f"{self.tokenizer.level}-{self.tokenizer.vocab_size}"
        vocabulary = self.checkpoint.config.tokenizer_sha256[:8]
        rules = f"{self.framing.frame}-{self.context_name}-{self.framing.version}"
        text = texts[0] if len(texts) == 1 else digest
        return f"vocabulary:{name}-{vocabulary}|text:{text[:12]}|rules:{rules}"

    @contextmanager
    def encoded(self, text: TextPart) -> Iterator[TokenFile]:
        """Yield the tokens of a text in the direction of the model, in a temporary file."""
        with temporary_folder() as folder:
            path = folder / "text.tokens"
            tokens = write_token_file(path, text.pieces(), self.tokenizer)
            if self.direction == "backward":
                tokens = write_turned(folder / "turned.tokens", tokens, self.tokenizer)
            yield tokens
