"""How good a model is: perplexity and the measures around it, exact and with their units."""

from charlm.evaluation.evaluate import estimate_nats, evaluate, window_nats
from charlm.evaluation.result import BITS_PER_NAT, MEASURES, Evaluation

__all__ = ["BITS_PER_NAT", "MEASURES", "Evaluation", "estimate_nats", "evaluate", "window_nats"]
