"""Text in, text out: a trained model with its tokenizer."""

from charlm.api.loaded import LoadedModel, decoding_config, draw_seed, load
from charlm.api.writing import Choice, Generation, Piece, Writer, sample_text

__all__ = [
    "Choice",
    "Generation",
    "LoadedModel",
    "Piece",
    "Writer",
    "decoding_config",
    "draw_seed",
    "load",
    "sample_text",
]
