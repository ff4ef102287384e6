"""Classification of texts by their probability under each label.

Bayes' rule: P(label | text) = P(text | label) P(label), divided by its sum over all labels.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from charlm.api.evaluating import Evaluator, Measured
from charlm.api.labels import under_labels
from charlm.checkpoint import Checkpoint
from charlm.data import (
    Columns,
    Part,
    TextAtHand,
    TextPart,
    TokenFile,
    find_frames,
    read_labelled,
)
from charlm.errors import ConfigError, TextError
from charlm.evaluation import join_scores
from charlm.training import find_files

Prior = Literal["corpus", "uniform"]


@dataclass(frozen=True, slots=True)
class Classified:
    """Most probable label of a text, with the probability of every label."""

    label: str
    probabilities: dict[str, float]  # posterior of each label
    log_probs: dict[str, float]  # log P(text | label), in nats


@dataclass(frozen=True, slots=True)
class Confusion:
    """Confusion matrix: number of frames by true label (rows) and predicted label (columns)."""

    labels: tuple[str, ...]
    counts: NDArray[np.int64]  # (labels, labels)

    @property
    def num_frames(self) -> int:
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """Share of frames whose label is predicted correctly; 0 without frames."""
        return float(np.trace(self.counts)) / max(1, self.num_frames)

    @property
    def chance(self) -> float:
        """Accuracy of always predicting the most frequent label; 0 without frames."""
        return float(self.counts.sum(1).max(initial=0)) / max(1, self.num_frames)


class Classifier:
    """Classifier that scores texts under every label of a model."""

    def __init__(self, checkpoint: Checkpoint, prior: Prior = "corpus") -> None:
        """Set up one evaluator per label.

        Args:
            checkpoint: a model trained with labels.
            prior: label probabilities: `corpus`, as in the training corpus, or `uniform`.

        Raises:
            ConfigError: the model was trained without labels.
        """
        config = checkpoint.config
        if not config.labels:
            raise ConfigError(
                f"{checkpoint.folder} was trained without labels and tells none apart; train with "
                "--label both on a .tsv, a .jsonl or a folder of folders."
            )
        self.checkpoint = checkpoint
        self.labels = config.labels
        counts = np.array(config.label_counts if prior == "corpus" else [1] * len(self.labels))
        self._log_prior = np.log(counts / counts.sum())
        self._evaluators = [
            Evaluator(under_labels(checkpoint, {name: 1.0})) for name in self.labels
        ]

    def classify(self, texts: Sequence[str]) -> Iterator[Classified]:
        """Yield the classification of each text.

        Raises:
            TextError: a text is empty or only white space.
        """
        for text in texts:
            if not text.strip():
                raise TextError("a text is empty; there is nothing to classify.")
            part = TextPart([TextAtHand(text)], self._evaluators[0].framing)
            with self._evaluators[0].encoded(part) as tokens:
                yield self._judge(self._log_probs(tokens).sum(0))

    def confusion(self, by_label: Mapping[str, TokenFile]) -> Confusion:
        """Return the confusion matrix of labelled texts; each frame is classified by itself."""
        counts = np.zeros((len(self.labels),) * 2, dtype=np.int64)
        for row, label in enumerate(self.labels):
            if label in by_label and len(by_label[label]):
                given = (self._log_probs(by_label[label]) + self._log_prior).argmax(1)
                counts[row] = np.bincount(given, minlength=len(self.labels))
        return Confusion(self.labels, counts)

    def measure(self, by_label: Mapping[str, TokenFile], name: str) -> dict[str, Measured]:
        """Evaluate the texts of each label under that label; labels without text are skipped."""
        return {
            label: evaluator.measure(f"{name}, {label}", by_label[label])
            for label, evaluator in zip(self.labels, self._evaluators, strict=True)
            if label in by_label and len(by_label[label])
        }

    def together(self, measured: Sequence[Measured]) -> Measured:
        """Return the sum of measures of several labels."""
        return self._evaluators[0].together(measured)

    def split(self, part: Part) -> dict[str, TokenFile]:
        """Return the tokens of each label in a split of the training corpus.

        Raises:
            CheckpointError: the corpus has changed or is missing.
            TextError: the split is empty.
        """
        files = find_files(self.checkpoint, part, self.labels)
        found = dict(zip(self.labels, files, strict=True))
        if not any(map(len, found.values())):
            raise TextError(
                f"the corpus of {self.checkpoint.folder} has no {part} part; choose another "
                "--split, or name a text."
            )
        return found

    @contextmanager
    def read_file(self, path: str) -> Iterator[dict[str, TokenFile]]:
        """Yield the tokens of each label in a labelled text, in temporary files.

        Raises:
            TextError: the text cannot be read, or has a label that the model does not know.
        """
        corpus, reader = self.checkpoint.config.corpus, self._evaluators[0]
        columns = Columns(corpus.label_column, corpus.text_column)
        any_bytes = reader.tokenizer.level == "byte"
        sources = read_labelled(path, columns, any_bytes=any_bytes).sources
        if unknown := set(sources) - set(self.labels):
            raise TextError(
                f"{path} has the label {min(unknown)!r}, which the model does not know; it knows "
                f"{', '.join(self.labels)}."
            )
        with ExitStack() as stack:
            parts = {
                label: TextPart(own, reader.framing, whole_documents=True)
                for label, own in sources.items()
            }
            yield {k: stack.enter_context(reader.encoded(part)) for k, part in parts.items()}

    def _log_probs(self, tokens: TokenFile) -> NDArray[np.float64]:
        """Return log P of each frame under each label in nats: (frames, labels)."""
        start_id = self.checkpoint.tokenizer.start_id
        lengths = [ends - starts - 1 for starts, ends in find_frames(tokens.tokens, start_id)]
        firsts = np.append(0, np.concatenate(lengths).cumsum()[:-1])
        columns = []
        for evaluator in self._evaluators:
            nats = join_scores(evaluator.read(tokens, evaluator.reading)).nats
            columns.append(-np.add.reduceat(nats, firsts))
        return np.stack(columns, axis=1)

    def _judge(self, log_probs: NDArray[np.float64]) -> Classified:
        joint = log_probs + self._log_prior
        shares = np.exp(joint - np.logaddexp.reduce(joint)).tolist()
        best = int(joint.argmax())
        return Classified(
            self.labels[best],
            dict(zip(self.labels, shares, strict=True)),
            dict(zip(self.labels, log_probs.tolist(), strict=True)),
        )
