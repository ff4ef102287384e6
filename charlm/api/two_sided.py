"""Scoring of texts with left and right context by a bidirectional model."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from charlm.api.evaluating import Evaluator, Follow, Ids
from charlm.checkpoint import Checkpoint, read_frequencies
from charlm.data import Frame, TokenFile, write_turned
from charlm.errors import ConfigError
from charlm.evaluation import (
    BothWays,
    NetworkPredictor,
    Predictor,
    Reading,
    TokenScores,
    read_both_ways,
)
from charlm.temporary import temporary_folder


class TwoSidedEvaluator(Evaluator):
    """Evaluator that predicts each token from all others; sums are pseudo-log-likelihoods."""

    def __init__(
        self,
        forward: Checkpoint,
        backward: Checkpoint,
        *,
        frame: Frame | None = None,
        follow: Follow | None = None,
    ) -> None:
        """Take both halves of a bidirectional model.

        Args:
            forward: the forward half.
            backward: the backward half.
            frame: as in `Evaluator`.
            follow: as in `Evaluator`.

        Raises:
            CheckpointError: the token frequencies are missing or damaged.
            ConfigError: the model needs a label and none is chosen.
        """
        super().__init__(forward, frame=frame, follow=follow)
        counts = read_frequencies(forward.folder, self.tokenizer.vocab_size).double()
        counts = counts + 1  # add-one smoothing for tokens that were never seen
        counts[[self.tokenizer.start_id, self.tokenizer.stop_id]] = 0
        self._models = BothWays(
            NetworkPredictor(forward.model),
            NetworkPredictor(backward.model),
            (counts / counts.sum()).log().float().to(self.reading.device),
            self.tokenizer.stop_id,
        )

    def with_predictor(self, predictor: Predictor) -> Evaluator:
        """Raise ConfigError: only networks can read backwards."""
        raise ConfigError(
            "--context both is for a model as it was trained: leave out --mix, --baseline, "
            "--dynamic and --cache."
        )

    def read(self, tokens: TokenFile, reading: Reading) -> Iterator[TokenScores]:
        with temporary_folder() as folder:
            turned = write_turned(folder / "turned.tokens", tokens, self.tokenizer)
            yield from read_both_ways(self._models, tokens.array, turned.array, reading)

    def log_probs_of(self, sentences: Sequence[Ids]) -> NDArray[np.float64]:
        """Raise ConfigError: sentences are scored with context from one side only."""
        raise ConfigError("--context both scores texts token by token; leave it out.")

    @property
    def knows_word_ends(self) -> bool:
        return False

    @property
    def context_name(self) -> str:
        return f"{self.reading.context}-both"
