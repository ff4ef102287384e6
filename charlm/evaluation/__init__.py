"""Exact evaluation of language models: perplexity, surprisal, adaptation and rescoring.

Every model that predicts a text (a network, an adaptive network, n-grams, a mixture) is a
`Predictor`. A text is read with it once; the scores of its tokens are then summed into an
`Evaluation` or reported one by one.
"""

from charlm.evaluation.both_ways import BothWays, read_both_ways
from charlm.evaluation.cache import CacheConfig, CachedPredictor
from charlm.evaluation.comparison import Difference, paired_bootstrap
from charlm.evaluation.dynamic import (
    DynamicConfig,
    DynamicNetwork,
    GradientSizes,
    measure_gradients,
)
from charlm.evaluation.error_rate import RATE_NAMES, Unit, count_errors, count_units
from charlm.evaluation.estimate import estimate_nats
from charlm.evaluation.evaluate import evaluate
from charlm.evaluation.minimal_pairs import GroupedPairScores, PairScores, score_pairs
from charlm.evaluation.minimum_error import minimize_errors
from charlm.evaluation.mixture import Mixture, fit_weights
from charlm.evaluation.network import HiddenReader, NetworkPredictor
from charlm.evaluation.ngrams import NgramPredictor
from charlm.evaluation.predictor import Predictions, Predictor
from charlm.evaluation.reading import Context, Reading, read_text
from charlm.evaluation.rescoring import (
    FIRST_PASS,
    NbestLists,
    Ranking,
    RankingName,
    RescoringConfig,
    RescoringErrors,
    make_lists,
    measure_rankings,
)
from charlm.evaluation.result import BITS_PER_NAT, MEASURES, Evaluation
from charlm.evaluation.segments import Segment, by_line, by_sentence, by_word
from charlm.evaluation.sentences import sentence_nats
from charlm.evaluation.surprisal import (
    TokenSurprisal,
    ending_tokens,
    find_line_ending,
    token_surprisals,
)
from charlm.evaluation.token_scores import TokenScores, join_scores
from charlm.evaluation.tuning import CACHE_FACTORS, DYNAMIC_FACTORS, Trial, tune

__all__ = [
    "BITS_PER_NAT",
    "CACHE_FACTORS",
    "DYNAMIC_FACTORS",
    "FIRST_PASS",
    "MEASURES",
    "RATE_NAMES",
    "BothWays",
    "CacheConfig",
    "CachedPredictor",
    "Context",
    "Difference",
    "DynamicConfig",
    "DynamicNetwork",
    "Evaluation",
    "GradientSizes",
    "GroupedPairScores",
    "HiddenReader",
    "Mixture",
    "NbestLists",
    "NetworkPredictor",
    "NgramPredictor",
    "PairScores",
    "Predictions",
    "Predictor",
    "Ranking",
    "RankingName",
    "Reading",
    "RescoringConfig",
    "RescoringErrors",
    "Segment",
    "TokenScores",
    "TokenSurprisal",
    "Trial",
    "Unit",
    "by_line",
    "by_sentence",
    "by_word",
    "count_errors",
    "count_units",
    "ending_tokens",
    "estimate_nats",
    "evaluate",
    "find_line_ending",
    "fit_weights",
    "join_scores",
    "make_lists",
    "measure_gradients",
    "measure_rankings",
    "minimize_errors",
    "paired_bootstrap",
    "read_both_ways",
    "read_text",
    "score_pairs",
    "sentence_nats",
    "token_surprisals",
    "tune",
]
