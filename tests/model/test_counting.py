"""Weights counted by arithmetic are those of the model when it is built."""

import math
from itertools import product

import pytest
import torch

from charlm.cells import CELLS
from charlm.errors import ConfigError
from charlm.model import LanguageModel, ModelConfig, count_parameters

SHAPES = [
    {"num_layers": layers, "connect": connect, "transition_depth": depth, **embedding, **head}
    for layers, connect, depth, embedding, head in product(
        (1, 3),
        ("plain", "residual", "highway", "skip"),
        (1, 3),
        (
            {"embedding": "one-hot", "embedding_size": 29, "tie_embeddings": False},
            {"embedding_size": 5, "tie_embeddings": False},
            {"embedding_size": 7},
        ),
        ({}, {"softmax": "adaptive", "softmax_cutoffs": (4, 11)}),
    )
]


@pytest.mark.parametrize("cell", CELLS)
def test_every_combination_has_the_weights_that_were_counted(cell):
    tried = 0
    for shape in SHAPES:
        try:
            config = ModelConfig(vocab_size=29, cell=cell, hidden_size=7, **shape)
        except ConfigError:  # what goes together with nothing
            continue
        tried += 1
        with torch.device("meta"):
            built = LanguageModel(config).parameters_by_part()
        assert {part.part: part.count for part in count_parameters(config)} == built
    assert tried >= 3


@pytest.mark.parametrize(
    "settings",
    [
        {"mogrifier_steps": 5},
        {"mogrifier_steps": 2, "embedding_size": 3, "tie_embeddings": False},
        {"num_layers": 3, "last_hidden_size": 4, "embedding_size": 4},
    ],
    ids=str,
)
def test_so_have_widths_of_their_own_and_mogrifiers(settings):
    config = ModelConfig(**{"vocab_size": 29, "hidden_size": 7, "embedding_size": 7, **settings})

    built = LanguageModel(config).parameters_by_part()

    assert {part.part: part.count for part in count_parameters(config)} == built


def test_a_formula_is_the_count():
    config = ModelConfig(vocab_size=1003, hidden_size=64, embedding_size=64, transition_depth=2)

    for part in count_parameters(config):
        terms = part.formula.replace(",", "").split(" + ")
        assert part.count == sum(math.prod(map(int, term.split(" x "))) for term in terms)


def test_the_textbooks_question_has_its_answer():
    config = ModelConfig(
        vocab_size=50_000,
        num_layers=4,
        hidden_size=100,
        embedding="one-hot",
        embedding_size=50_000,
        tie_embeddings=False,
    )

    counts = {part.part: (part.count, part.formula) for part in count_parameters(config)}

    assert counts == {
        "layer 0": (20_040_800, "4 x 50,102 x 100"),
        "layer 1": (80_800, "4 x 202 x 100"),
        "layer 2": (80_800, "4 x 202 x 100"),
        "layer 3": (80_800, "4 x 202 x 100"),
        "head": (5_050_000, "50,000 x 101"),
    }
