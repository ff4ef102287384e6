"""Token ids out of a model: greedy, sampling and beam search. Ids in, ids out."""

from charlm.decoding.beam import Hypothesis, beam_search
from charlm.decoding.config import DecodingConfig
from charlm.decoding.filters import bar_tokens, scale_temperature
from charlm.decoding.sampling import draw, generate_tokens

__all__ = [
    "DecodingConfig",
    "Hypothesis",
    "bar_tokens",
    "beam_search",
    "draw",
    "generate_tokens",
    "scale_temperature",
]
