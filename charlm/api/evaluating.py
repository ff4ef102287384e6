"""Texts measured as a model, or what is made of it, predicts them."""

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
    """What an evaluation of a text found, and what names its terms."""

    text: str
    evaluation: Evaluation
    fingerprint: str

    def to_dict(self) -> dict[str, float | int | str]:
        """The measures by name, and the fingerprint."""
        return {**self.evaluation.to_dict(), "fingerprint": self.fingerprint}

    @property
    def text_fingerprint(self) -> str:
        """The part of the fingerprint that tells the text from others."""
        return self.fingerprint.split("|")[1]


class Evaluator:
    """Evaluates and scores texts with a predictor over a checkpoint's vocabulary."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        predictor: Predictor | None = None,
        *,
        context: Context | None = None,
        frame: Frame | None = None,
        follow: Follow | None = None,
    ) -> None:
        """Read texts as the training text was read, but for what is given.

        Args:
            checkpoint: gives vocabulary and rules.
            predictor: None is the network as it was trained.
            context: what a token is predicted from; by default the frame alone where the model was
                trained with independent frames, else all of the text before it.
            frame: what `<start>` and `<stop>` enclose.
            follow: is given the scores of a text that is evaluated as they come, how many there
                will be and the text's name, and gives the scores on.
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
        """The same for another predictor of the same vocabulary.

        Raises:
            ConfigError: the model foretells lengths, of which other predictors know nothing.
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
        """A text by its path, cut into frames; errors call it by its name, if it has another.

        Raises:
            TextError: it is empty or missing.
        """
        any_bytes = self.tokenizer.level == "byte"
        return read_text(path, self.framing, any_bytes=any_bytes, name=name)

    def evaluate_file(
        self, path: str, kept: list[TokenScores] | None = None, name: str | None = None
    ) -> Measured:
        """Measure a text by its path, exactly; what was said of its tokens is added to `kept`.

        It is called by its name, if it has another.

        Raises:
            TextError: it cannot be read, is empty or has no token to predict.
        """
        with self.encoded(self.read_file(path, name)) as tokens:
            return self.measure(name or path, tokens, kept)

    def evaluate_split(self, part: Part, kept: list[TokenScores] | None = None) -> Measured:
        """Measure a part of the training corpus, exactly, as `evaluate_file` does.

        Raises:
            CheckpointError: the corpus has changed or is gone.
            ConfigError: its frames are to be other ones.
            TextError: the part is empty.
        """
        return self.measure(f"its {part} split", self.split(part), kept)

    def split(self, part: Part) -> TokenFile:
        """The tokens of a part of the training corpus; errors as in `evaluate_split`."""
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
        """Measure a text that is encoded already.

        Raises:
            TextError: it has no token to predict.
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
        """Several texts as one: their sums, whatever their order.

        Raises:
            TextError: there are none.
        """
        if not measured:
            raise TextError("there is nothing to evaluate; name a text.")
        if len(measured) == 1:
            return measured[0]
        first, *rest = (each.evaluation for each in measured)
        fingerprint = self.fingerprint(sorted(each.text_fingerprint for each in measured))
        return Measured(text="all texts", evaluation=sum(rest, first), fingerprint=fingerprint)

    def token_scores(self, text: TextPart, *, details: bool) -> Iterator[TokenScores]:
        """What is said of each token of a text, in order; entropy and rank too with `details`.

        The whole text is read and encoded before the first is given.
        """
        reading = self.reading
        if details:
            wanted = self.tokenizer.level != "word" and self.knows_word_ends
            endings = ending_tokens(self.tokenizer) if wanted else ()
            reading = replace(reading, details=True, ending_ids=tuple(endings))
        with self.encoded(text) as tokens:
            yield from self._in_order(self.read(tokens, reading), tokens)

    def read(self, tokens: TokenFile, reading: Reading) -> Iterator[TokenScores]:
        """What is said of the tokens, in the order in which they are read."""
        return read_tokens(self.predictor, tokens.array, reading)

    @property
    def knows_word_ends(self) -> bool:
        """Whether it can say how probable it is that a word ends here: by what comes before."""
        return self.direction == "forward"

    def _in_order(self, scores: Iterator[TokenScores], tokens: TokenFile) -> Iterator[TokenScores]:
        """Scores in the order of the text, whichever way it was read."""
        if self.direction == "forward":
            return scores
        text = turn(tokens.array, tokens.array[:0], self.tokenizer)
        places = turned_places(text, self.tokenizer)
        return iter([join_scores(scores).take(np.argsort(places))])

    def log_probs(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Log P in nats of each text as a sentence of its own: (len(texts),).

        A sentence is what a frame is: `<start>` and `<stop>` are its ends. Where a frame is a whole
        document, line breaks stand for them, if the model knows any: the first is given, the last
        predicted. Beginnings
        that several texts share are read once.
        """
        distinct = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        sums = self.log_probs_of(self.tokenizer.encode_batch(list(distinct)))
        found: NDArray[np.float64] = sums[[distinct[text] for text in texts]]
        return found

    def log_probs_of(self, sentences: Sequence[Ids]) -> NDArray[np.float64]:
        """The same of sentences that are token ids, in the order of the text."""
        given = len(self.beginning) - 1  # the first line break
        nats = sentence_nats(self.predictor, [self._sentence(s) for s in sentences], self.reading)
        return -np.array([float(values[given:].sum()) for values in nats])

    @property
    def beginning(self) -> tuple[int, ...]:
        """What is read before a sentence of its own."""
        start, mark = self.tokenizer.start_id, self._line_break
        return (start,) if mark is None else (start, mark)

    def begin(self, num_tokens: int) -> tuple[int, ...]:
        """The same before a sentence of so many tokens, for models that are told how many."""
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
        """The token that parts sentences within a document, where frames are documents.

        A text with a label is a whole by itself.
        """
        if self.framing.frame != "document" or self.checkpoint.config.labels:
            return None
        ids = self.tokenizer.encode("\n")
        return ids[0] if len(ids) == 1 and ids[0] != self.tokenizer.other_id else None

    @property
    def context_name(self) -> str:
        """What a token is predicted from, as fingerprints have it."""
        return self.reading.context

    def fingerprint(self, texts: Sequence[str]) -> str:
        """What a figure's terms are: vocabulary, text and rules. Equal ones can be compared."""
        digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
        name = f"{self.tokenizer.level}-{self.tokenizer.vocab_size}"
        vocabulary = self.checkpoint.config.tokenizer_sha256[:8]
        rules = f"{self.framing.frame}-{self.context_name}-{self.framing.version}"
        text = texts[0] if len(texts) == 1 else digest
        return f"vocabulary:{name}-{vocabulary}|text:{text[:12]}|rules:{rules}"

    @contextmanager
    def encoded(self, text: TextPart) -> Iterator[TokenFile]:
        """The tokens of a text in the direction of the model, in a temporary file."""
        with temporary_folder() as folder:
            path = folder / "text.tokens"
            tokens = write_token_file(path, text.pieces(), self.tokenizer)
            if self.direction == "backward":
                tokens = write_turned(folder / "turned.tokens", tokens, self.tokenizer)
            yield tokens
