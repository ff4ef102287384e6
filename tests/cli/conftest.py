"""The command line, run in this process; and small models of all levels, trained once."""

import io
import shutil
import signal
import sys
from dataclasses import dataclass
from functools import cache

import pytest
import torch

from charlm.api import load
from charlm.checkpoint import save_weights
from charlm.cli.app import main
from charlm.training import prepare_run

SETTINGS = {"hidden_size": 24, "batch_size": 4, "bptt": 16, "steps": 120, "valid_every": 120}
SETTINGS |= {"learning_rate": 0.03, "dropout": 0.0, "seed": 1}


@dataclass
class Result:
    status: int
    out: str
    err: str


@pytest.fixture
def charlm(monkeypatch, capfd, tmp_path):
    """Run `charlm ARGUMENTS...` in the test's own folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["charlm", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
        return Result(status, *capfd.readouterr())

    return run


@pytest.fixture(autouse=True)
def heeded_signals():
    """Have signals reach a test and its processes also under nohup and in the background."""
    usual = {signal.SIGHUP: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.getsignal(number) for number in usual}
    for number, handler in usual.items():
        if before[number] == signal.SIG_IGN:
            signal.signal(number, handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def trained(charlm, corpus):
    """A model in checkpoints/tale."""
    small = ("--hidden-size", 16, "--batch-size", 4, "--bptt", 16, "--steps", 20)
    result = charlm("train", corpus, *small)
    assert result.status == 0, result.err
    return charlm


@pytest.fixture(scope="session")
def models(tmp_path_factory, tale):
    """A function from a level to a checkpoint; `stop` is added to the logit of `<stop>`.

    Besides the levels there is "tiny", a character model that knows a, b, = and the line break,
    and gives `<start>` and `<other>` no probability.
    """
    folder = tmp_path_factory.mktemp("models")
    texts = {"tiny": "ab=ba\naab==b\n" * 400}

    @cache
    def trained_folder(level):
        corpus = folder / f"{level}.txt"
        corpus.write_text(texts.get(level, tale), encoding="utf-8")
        given = {**SETTINGS, "paths": (str(corpus),)}
        given["level"] = "char" if level in texts else level
        if level == "bpe":
            given["vocab_size"] = 300
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CHARLM_CACHE", str(folder / "cache"))
            run = prepare_run(given, folder / level, torch.device("cpu")).run
            for _ in run.events():
                pass
        return run.folder

    @cache
    def changed_model(level, stop):
        changed = folder / f"{level}{stop}"
        shutil.copytree(trained_folder(level), changed)
        lm = load(changed, "cpu")
        with torch.no_grad():
            lm.model.head.projection.bias[lm.tokenizer.stop_id] += stop
            if level == "tiny":
                barred = [lm.tokenizer.start_id, lm.tokenizer.other_id]
                lm.model.head.projection.bias[barred] = -100
        save_weights(changed, lm.model)
        return changed

    def model(level="char", stop=0.0):
        return changed_model(level, stop)  # one key, however it is called

    return model


@pytest.fixture
def generate(charlm, models):
    """Run `charlm generate` with one of the models; it ends no text by itself unless `stop` is."""

    def run(*arguments, level="char", stop=-100.0):
        return charlm("generate", models(level, stop), *arguments)

    return run


@pytest.fixture
def stdin(monkeypatch):
    """Put bytes on standard input."""

    def put(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), "utf-8"))

    return put
