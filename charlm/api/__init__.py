"""The Python API: text in, text out, with a trained model and its tokenizer."""

from charlm.api.adapting import Adaptation, adapt, remembered, tune_adaptation
from charlm.api.classifying import Classified, Classifier, Confusion
from charlm.api.comparing import (
    Account,
    Comparison,
    NamedText,
    account,
    compare,
    split_as_text,
)
from charlm.api.evaluating import Evaluator, Measured
from charlm.api.filling import BLANK, Filling
from charlm.api.labels import blend_of
from charlm.api.loaded import LoadedModel, decoding_config, draw_seed, load
from charlm.api.mixing import (
    arpa_words,
    check_same_vocabulary,
    fit_mixture,
    is_arpa,
    mix,
    ngram_order,
    ngram_predictor,
    train_ngram,
)
from charlm.api.scoring import (
    By,
    Scorer,
    Shade,
    Surprisal,
    score_files,
    score_minimal_pairs,
    score_text,
    segments,
    shades,
)
from charlm.api.session import Session
from charlm.api.writing import Choice, Generation, Piece, Writer, in_order, sample_text

__all__ = [
    "BLANK",
    "Account",
    "Adaptation",
    "By",
    "Choice",
    "Classified",
    "Classifier",
    "Comparison",
    "Confusion",
    "Evaluator",
    "Filling",
    "Generation",
    "LoadedModel",
    "Measured",
    "NamedText",
    "Piece",
    "Scorer",
    "Session",
    "Shade",
    "Surprisal",
    "Writer",
    "account",
    "adapt",
    "arpa_words",
    "blend_of",
    "check_same_vocabulary",
    "compare",
    "decoding_config",
    "draw_seed",
    "fit_mixture",
    "in_order",
    "is_arpa",
    "load",
    "mix",
    "ngram_order",
    "ngram_predictor",
    "remembered",
    "sample_text",
    "score_files",
    "score_minimal_pairs",
    "score_text",
    "segments",
    "shades",
    "split_as_text",
    "train_ngram",
    "tune_adaptation",
]
