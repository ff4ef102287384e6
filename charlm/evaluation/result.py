"""Result of an evaluation: sums and the rates derived from them."""

import math
from dataclasses import dataclass, fields

BITS_PER_NAT = 1 / math.log(2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Surprisal of a text under a model, as sums that add up over texts.

    All tokens except `<start>` are predicted, each once, including `<stop>`. A rate whose
    denominator is 0 is NaN.
    """

    total_nats: float
    total_nats_other: float  # of <other> tokens
    sum_squared_nats: float
    num_tokens: int  # predicted
    num_other: int
    num_stop: int
    num_words: int  # runs without white space in the text
    num_chars: int  # code points of the text
    num_bytes: int  # of the text as UTF-8

    @property
    def nats_per_token(self) -> float:
        return ratio(self.total_nats, self.num_tokens)

    @property
    def bits_per_token(self) -> float:
        return self.nats_per_token * BITS_PER_NAT

    @property
    def perplexity(self) -> float:
        """Perplexity: exp of nats per predicted token; infinite if a float cannot hold it."""
        return exp(self.nats_per_token)

    @property
    def perplexity_excluding_other(self) -> float:
        """Perplexity over the tokens that are not `<other>`."""
        known = self.num_tokens - self.num_other
        return exp(ratio(self.total_nats - self.total_nats_other, known))

    @property
    def ppl1(self) -> float:
        """SRILM's ppl1: exp of total nats divided by the number of tokens without `<stop>`."""
        return exp(ratio(self.total_nats, self.num_tokens - self.num_stop))

    @property
    def bits_per_char(self) -> float:
        """Bits per character of the original text; comparable across tokenizers."""
        return ratio(self.total_nats * BITS_PER_NAT, self.num_chars)

    @property
    def bits_per_byte(self) -> float:
        """Bits per byte of the original text; comparable across tokenizers."""
        return ratio(self.total_nats * BITS_PER_NAT, self.num_bytes)

    @property
    def other_rate(self) -> float:
        """Share of the predicted tokens that are `<other>`."""
        return ratio(self.num_other, self.num_tokens)

    @property
    def standard_error(self) -> float:
        """Standard error of nats per token, assuming independent tokens; NaN below two tokens."""
        if self.num_tokens < 2:
            return math.nan
        spread = self.sum_squared_nats - self.num_tokens * self.nats_per_token**2
        variance = max(spread, 0.0) / (self.num_tokens - 1)
        return math.sqrt(variance / self.num_tokens)

    def __add__(self, other: "Evaluation") -> "Evaluation":
        """Return the evaluation of both texts together."""
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return Evaluation(**sums)

    def to_dict(self) -> dict[str, float | int]:
        """Return the measures by name, in display order."""
        return {name: getattr(self, name) for name in MEASURES}


MEASURES = (
    "perplexity",
    "perplexity_excluding_other",
    "ppl1",
    "nats_per_token",
    "bits_per_token",
    "bits_per_char",
    "bits_per_byte",
    "total_nats",
    "num_tokens",
    "num_other",
    "num_words",
    "num_chars",
    "num_bytes",
    "other_rate",
    "standard_error",
)


def ratio(numerator: float, denominator: float) -> float:
    """Return the quotient, or NaN if the denominator is 0."""
    return numerator / denominator if denominator else math.nan


def exp(nats: float) -> float:
    """Return e ** nats, or infinity on overflow."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf
