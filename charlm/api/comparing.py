"""Comparison of two models on the same texts."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charlm.api.evaluating import Evaluator, Measured
from charlm.checkpoint import Checkpoint
from charlm.data import Part, Piece
from charlm.errors import TextError
from charlm.evaluation import BITS_PER_NAT, Difference, TokenScores, paired_bootstrap
from charlm.temporary import temporary_folder
from charlm.text import Tokenizer
from charlm.training import find_text

MIN_FRAMES = 30  # minimum for resampling frames; with fewer, blocks of tokens are resampled
BLOCK_TOKENS = 100

Sums = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedText:
    """A text that can be read more than once, with the name shown to the user."""

    name: str
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """Results of one evaluator on some texts: their measures and the scores of every token."""

    name: str
    evaluator: Evaluator
    measured: tuple[Measured, ...]
    scores: tuple[tuple[TokenScores, ...], ...]

    @property
    def together(self) -> Measured:
        """Sum of the measures of all texts."""
        return self.evaluator.together(self.measured)


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Difference between two models; lower surprisal is better.

    Perplexity and nats per token are comparable only if vocabulary, text and framing rules are the
    same, that is, if the fingerprints are equal. Bits per character are comparable whenever the
    text is the same.
    """

    comparable: bool  # the fingerprints are equal
    same_text: bool
    nats_per_token: Difference | None  # None if the tokens differ
    bits_per_char: Difference
    unit: str  # resampled by the bootstrap: frames, blocks of 100 tokens, or lines
    num_units: int


def account(
    name: str, evaluator: Evaluator, texts: Sequence[NamedText], split: Part | None = None
) -> Account:
    """Evaluate texts, or a split of the training corpus, and keep the scores of every token.

    Raises:
        CharlmError: a text cannot be read or measured.
    """
    kept: list[list[TokenScores]] = [[] for _ in texts] if split is None else [[]]
    if split is None:
        measured = [
            evaluator.evaluate_file(text.path, scores, text.name)
            for text, scores in zip(texts, kept, strict=True)
        ]
    else:
        measured = [evaluator.evaluate_split(split, kept[0])]
    scores = tuple(tuple(parts) for parts in kept)
    return Account(name=name, evaluator=evaluator, measured=tuple(measured), scores=scores)


def compare(model: Account, other: Account, texts: Sequence[NamedText]) -> Comparison:
    """Return the difference between `model` and `other` on texts that both have scored.

    If both have the same tokens, the bootstrap resamples frames, or blocks of tokens if there are
    fewer than `MIN_FRAMES` frames. Otherwise it resamples lines of the text.
    """
    same_tokens = tokens_of(model) == tokens_of(other)
    if same_tokens:
        nats, lengths, unit = token_units(model)
        other_nats, _, _ = token_units(other)
    else:
        nats, lengths = line_units(model, texts)
        other_nats, _ = line_units(other, texts)
        unit = "lines"
    chars = lengths * model.together.evaluation.num_chars / lengths.sum()
    by_char = paired_bootstrap(nats * BITS_PER_NAT, other_nats * BITS_PER_NAT, chars)
    return Comparison(
        comparable=model.together.fingerprint == other.together.fingerprint,
        same_text=text_fingerprints(model) == text_fingerprints(other),
        nats_per_token=paired_bootstrap(nats, other_nats, lengths) if same_tokens else None,
        bits_per_char=by_char,
        unit=unit,
        num_units=len(nats),
    )


def tokens_of(account: Account) -> tuple[str, str]:
    """Return what determines the tokens of a text: the tokenizer's SHA-256 and the frame."""
    return account.evaluator.checkpoint.config.tokenizer_sha256, account.evaluator.framing.frame


def text_fingerprints(account: Account) -> list[str]:
    """Return the fingerprint of each text."""
    return [measured.text_fingerprint for measured in account.measured]


def token_units(account: Account) -> tuple[Sums, Sums, str]:
    """Return nats, token counts and the unit: frames, or blocks of tokens if frames are few.

    Both arrays are (units,), float64.
    """
    scores = [part for parts in account.scores for part in parts]
    nats = np.concatenate([part.nats for part in scores])
    targets = np.concatenate([part.targets for part in scores])
    begins = np.flatnonzero(targets == account.evaluator.tokenizer.stop_id)[:-1] + 1
    begins, unit = np.concatenate([[0], begins]), "frames"
    if len(begins) < MIN_FRAMES:
        begins, unit = np.arange(0, len(nats), BLOCK_TOKENS), f"blocks of {BLOCK_TOKENS} tokens"
    lengths = np.diff(np.append(begins, len(nats))).astype(np.float64)
    return np.add.reduceat(nats, begins), lengths, unit


def line_units(account: Account, texts: Sequence[NamedText]) -> tuple[Sums, Sums]:
    """Return the nats and the number of characters of each line: two arrays (lines,), float64."""
    sums, lengths = [], []
    for text, parts in zip(texts, account.scores, strict=True):
        pieces = list(account.evaluator.read_file(text.path, text.name).pieces())
        breaks, num_chars = line_breaks(pieces)
        lines = np.searchsorted(breaks, token_starts(pieces, account.evaluator.tokenizer))
        nats = np.concatenate([part.nats for part in parts])
        sums.append(np.bincount(lines, weights=nats, minlength=len(breaks) + 1))
        lengths.append(np.diff(breaks, prepend=-1, append=num_chars - 1))
    return np.concatenate(sums), np.concatenate(lengths).astype(np.float64)


def line_breaks(pieces: Iterable[Piece]) -> tuple[NDArray[np.int64], int]:
    """Return the positions of the line breaks of a text, and its length in characters."""
    text = "".join(piece.text + piece.gap for piece in pieces)
    # A line break at the end of the text does not begin another line.
    within = re.finditer("\n(?!\\Z)", text)
    return np.array([match.start() for match in within], np.int64), len(text)


def token_starts(pieces: Iterable[Piece], tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Return the character offset of each predicted token; `<stop>` is at the end of its frame."""
    offset = 0
    starts: list[NDArray[np.int64]] = []
    for piece in pieces:
        ((_, spans),) = tokenizer.encode_spans([piece.text])
        starts.append(offset + spans[:, 0])
        if piece.closes:
            starts.append(np.array([offset + len(piece.text)]))
        offset += piece.num_chars
    return np.concatenate([np.zeros(0, np.int64), *starts])


@contextmanager
def split_as_text(checkpoint: Checkpoint, part: Part) -> Iterator[NamedText]:
    """Yield a split of a checkpoint's corpus as a temporary file that other models can read.

    Raises:
        CheckpointError: the corpus has changed, or was read from standard input.
        TextError: the corpus is missing, or the split is empty.
    """
    pieces = find_text(checkpoint, part).parts[part].pieces()
    with temporary_folder() as folder:
        path = folder / "text"
        with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            for piece in pieces:
                file.write(piece.text + piece.gap)
        if path.stat().st_size == 0:
            raise TextError(
                f"the corpus of {checkpoint.folder} has no {part} part; name a text with --text."
            )
        yield NamedText(name=f"the {part} split of {checkpoint.folder}", path=str(path))
