"""Decoding: greedy, sampling, beam and exhaustive search, on token ids only."""

from charlm.decoding.batch import read_prompts
from charlm.decoding.beam import BeamStep, beam_search, beam_steps, found_texts
from charlm.decoding.cached import CachedSteps
from charlm.decoding.config import DecodingConfig, check_effective
from charlm.decoding.every_filling import count_fillings, rank_every_filling
from charlm.decoding.exhaustive import exhaustive_search
from charlm.decoding.filling import (
    Filled,
    FillingConfig,
    fill_blanks,
    join,
    propose_both_ways,
)
from charlm.decoding.hypothesis import End, Hypothesis, Node
from charlm.decoding.rules import Bans, Rules, TextWatch, tokens_with
from charlm.decoding.sampling import Step, generate_tokens
from charlm.decoding.stochastic import sample_without_replacement

__all__ = [
    "Bans",
    "BeamStep",
    "CachedSteps",
    "DecodingConfig",
    "End",
    "Filled",
    "FillingConfig",
    "Hypothesis",
    "Node",
    "Rules",
    "Step",
    "TextWatch",
    "beam_search",
    "beam_steps",
    "check_effective",
    "count_fillings",
    "exhaustive_search",
    "fill_blanks",
    "found_texts",
    "generate_tokens",
    "join",
    "propose_both_ways",
    "rank_every_filling",
    "read_prompts",
    "sample_without_replacement",
    "tokens_with",
]
