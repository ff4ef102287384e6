"""What every test gets: a cache of its own, one way to draw examples; a small text and a model."""

import importlib.util
import os
import random
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # torch reads it when imported: steadier, and fast enough here

import pytest
import torch
from hypothesis import HealthCheck, settings

from charlm.training import prepare_run

# No test may depend on a clock or on luck: the same examples in every run, however slow.
settings.register_profile(
    "charlm", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", settings.get_profile("charlm"), derandomize=False)
settings.load_profile("charlm")  # `--hypothesis-profile search` looks for new counterexamples

TALES = Path(__file__).parents[1] / "corpora" / "tales.txt"
SMALL = {"hidden_size": 16, "batch_size": 4, "bptt": 16, "steps": 40, "valid_every": 10}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def same_seeds(monkeypatch):
    """Seeds that nobody sets are drawn as ever, but the same ones in every run of a test."""
    monkeypatch.setattr("secrets.randbits", random.Random(0).getrandbits)


@pytest.fixture(scope="session")
def failing():
    """`failing` of faults.py, which is beside this file and in no package."""
    name = "charlm_test_faults"
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("faults.py"))
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name].failing


@pytest.fixture(scope="session")
def tale():
    """A few thousand characters of prose in paragraphs."""
    return TALES.read_text(encoding="utf-8")[:8000]


@pytest.fixture
def corpus(tmp_path, tale):
    path = tmp_path / "tale.txt"
    path.write_text(tale, encoding="utf-8")
    return path


@pytest.fixture
def prepare(tmp_path, corpus):
    """Prepare a small run: `prepare("name", cell="gru")`."""

    def prepare(name="run", **given):
        given = {"paths": (str(corpus),), **SMALL, **given}
        return prepare_run(given, tmp_path / name, torch.device("cpu"))

    return prepare


@pytest.fixture
def train(prepare):
    """Train a small run to its end; the folder."""

    def train(name="run", **given):
        run = prepare(name, **given).run
        for _ in run.events():
            pass
        return run.folder

    return train
