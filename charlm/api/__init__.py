"""Text in, text out: a trained model with its tokenizer."""

from charlm.api.loaded import LoadedModel, decoding_config, draw_seed, load
from charlm.api.session import Session
from charlm.api.writing import Choice, Generation, Piece, Writer, in_order, sample_text

__all__ = [
    "Choice",
    "Generation",
    "LoadedModel",
    "Piece",
    "Session",
    "Writer",
    "decoding_config",
    "draw_seed",
    "in_order",
    "load",
    "sample_text",
]
