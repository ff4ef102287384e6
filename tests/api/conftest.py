"""Models of all levels, trained once; and one that likes nothing better than a few letters."""

from functools import cache
from types import SimpleNamespace

import pytest
import torch

import charlm
from charlm.api import LoadedModel
from charlm.checkpoint import Checkpoint
from charlm.data import CorpusConfig
from charlm.model import LanguageModel, ModelConfig
from charlm.text import TextConfig, build_tokenizer
from charlm.training import prepare_run

SETTINGS = {"hidden_size": 24, "batch_size": 4, "bptt": 16, "steps": 200, "valid_every": 200}
SETTINGS |= {"learning_rate": 0.03, "dropout": 0.0, "seed": 1}
LETTERS = ["abc cab abab bcab a bb cc abc.", "cabba abc ab bab ba ca aab, cbc", "b c ac bc abcabc"]


@pytest.fixture(scope="session")
def trained_folder(tmp_path_factory, tale):
    """A function from a level to the checkpoint of a small model of it."""
    folder = tmp_path_factory.mktemp("trained")
    corpus = folder / "tale.txt"
    corpus.write_text(tale, encoding="utf-8")

    @cache
    def train(level):
        given = {**SETTINGS, "paths": (str(corpus),), "level": level}
        if level == "bpe":
            given["vocab_size"] = 300
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CHARLM_CACHE", str(folder / "cache"))
            run = prepare_run(given, folder / level, torch.device("cpu")).run
            for _ in run.events():
                pass
        return run.folder

    return train


@pytest.fixture(scope="session")
def trained(trained_folder):
    """A function from a level to a small model of it, loaded."""
    return cache(lambda level: charlm.load(trained_folder(level), "cpu"))


@pytest.fixture(scope="session")
def babbler():
    """A function from a level to an untrained model that writes a, b and c, in all its tokens."""

    @cache
    def build(level, seed=0):
        size = 275 if level == "bpe" else None
        config = TextConfig(level=level, vocab_size=size)
        tokenizer = build_tokenizer(config, [*LETTERS, *LETTERS])  # every word twice at least
        torch.manual_seed(seed)
        shape = {"vocab_size": tokenizer.vocab_size, "embedding_size": 8, "hidden_size": 8}
        model = LanguageModel(ModelConfig(**shape)).eval()
        with torch.no_grad():
            model.body.embedding.weight.normal_(0, 2)
            for token in range(tokenizer.num_symbols):
                liked = set(tokenizer.token(token)) <= set("abc ")
                model.head.projection.bias[token] = 8.0 if liked else 0.0
        corpus = CorpusConfig(paths=("babble.txt",), frame="document")
        known = SimpleNamespace(corpus=corpus, text=config, labels=())
        return LoadedModel(Checkpoint(None, known, tokenizer, model))

    return build
