"""What an evaluation found: sums, and the rates they give."""

import math
from dataclasses import dataclass, fields

BITS_PER_NAT = 1 / math.log(2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """Surprisal of a text under a model, as sums that add up over texts.

    Predicted are all tokens but `<start>`, `<stop>` included, each once. A rate that has nothing
    to count is nan.
    """

    total_nats: float
    total_nats_other: float  # of <other>
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
        """exp(nats per predicted token)."""
        return exp(self.nats_per_token)

    @property
    def perplexity_excluding_other(self) -> float:
        """Perplexity over the tokens that are not `<other>`."""
        known = self.num_tokens - self.num_other
        return exp(ratio(self.total_nats - self.total_nats_other, known))

    @property
    def ppl1(self) -> float:
        """SRILM's ppl1: all nats, over the tokens that are not `<stop>`."""
        return exp(ratio(self.total_nats, self.num_tokens - self.num_stop))

    @property
    def bits_per_char(self) -> float:
        """Bits for each character of the original text, whatever the tokens are."""
        return ratio(self.total_nats * BITS_PER_NAT, self.num_chars)

    @property
    def bits_per_byte(self) -> float:
        """Bits for each byte of the original text, whatever the tokens are."""
        return ratio(self.total_nats * BITS_PER_NAT, self.num_bytes)

    @property
    def other_rate(self) -> float:
        """Share of the predicted tokens that are `<other>`."""
        return ratio(self.num_other, self.num_tokens)

    @property
    def standard_error(self) -> float:
        """Of nats per token, taking the tokens as independent draws."""
        if self.num_tokens < 2:
            return math.nan
        spread = self.sum_squared_nats - self.num_tokens * self.nats_per_token**2
        variance = max(spread, 0.0) / (self.num_tokens - 1)
        return math.sqrt(variance / self.num_tokens)

    def __add__(self, other: "Evaluation") -> "Evaluation":
        """Of both texts together."""
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return Evaluation(**sums)

    def to_dict(self) -> dict[str, float | int]:
        """The measures by name, in the order they are shown."""
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
    """Their quotient, or nan over nothing."""
    return numerator / denominator if denominator else math.nan


def exp(nats: float) -> float:
    """e ** nats, infinite where a float cannot hold it."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf
