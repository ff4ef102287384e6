"""Checkpoints that a stranger changed behind their seals work, or are refused in one line."""

import resource
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path
from random import Random

import pytest
import torch
from typer.testing import CliRunner

import charlm
from charlm.api import Adaptation, adapt
from charlm.api.adapting import gradient_sizes
from charlm.checkpoint import save_adaptation
from charlm.cli.app import app
from charlm.errors import CharlmError
from charlm.evaluation import DynamicConfig
from charlm.training import create_backward, prepare_run, read_recipe, resume_run

sys.path.insert(0, str(Path(__file__).parent))
from mutation import mutate_checkpoint

CPU = torch.device("cpu")
MAX_LINE = 300  # characters of an error
MODEST = 300 * 1024  # KiB that all of them together may add to what the process has taken
ROUNDS = 15  # changes of each kind of checkpoint
TEXT = "The fox ate the moon. The owl agreed.\n"
SMALL = {"hidden_size": 8, "batch_size": 4, "bptt": 16, "steps": 8, "valid_every": 3}
KINDS = {
    "char": {"averaging": "ema", "num_layers": 2, "connect": "highway"},
    "word": {
        "level": "word",
        "mogrifier_steps": 2,
        "optimizer": "muon",
        "softmax": "adaptive",
        "softmax_cutoffs": (20, 60),
    },
    "byte": {"level": "byte", "cell": "gru", "frame": "line", "independent_frames": True}
    | {"stop_by": "length", "transition_depth": 2},
    "bpe": {"level": "bpe", "vocab_size": 280, "direction": "both", "optimizer": "sgd"},
    "labels": {"label": "both"},
}


def train(settings, folder, steps=None):
    """Train to the end, or stop after some steps, as Ctrl-C does."""
    run = prepare_run(settings, folder, CPU).run
    for _ in run.events():
        if steps is not None and run.progress.step >= steps:
            break
    run.save()
    return run.folder


@pytest.fixture(scope="session")
def original(tmp_path_factory, tale):
    """A function from a kind to a small checkpoint of it that has all files one can have."""
    root = tmp_path_factory.mktemp("originals")
    (root / "tale.txt").write_text(tale[:3000], encoding="utf-8")
    rows = [f"{label}\tThe {label} is {n}.\n" for n in range(60) for label in ("cat", "dog")]
    (root / "pets.tsv").write_text("".join(rows), encoding="utf-8")
    made = {}

    def make(kind):
        if kind in made:
            return made[kind]
        paths = (str(root / ("pets.tsv" if kind == "labels" else "tale.txt")),)
        two_sided = kind == "bpe"
        settings = {"paths": paths, **SMALL, **KINDS[kind]}
        folder = train(settings, root / kind, steps=None if two_sided else 5)
        if two_sided:
            run = create_backward(folder, CPU).run
            for _ in run.events():
                pass
        checkpoint = charlm.load(folder, "cpu").checkpoint
        gradient_sizes(checkpoint)
        for context in ("stream", "frame"):
            tuned = {"dynamic": None, "cache": {"size": 40, "weight": 0.1}}
            save_adaptation(folder, f"cache {context}", tuned)
        made[kind] = folder
        return folder

    return make


def read(folder):
    """All that is done with a checkpoint, each by itself."""

    def load():
        lm = charlm.load(folder, "cpu")
        return lm.with_label(lm.labels[0]) if lm.labels else lm

    def dynamic():
        lm = load()
        predictor = adapt(lm.checkpoint, Adaptation(dynamic=DynamicConfig()))
        evaluator = lm.evaluator().with_predictor(predictor)
        (folder / "text.txt").write_text(TEXT)
        evaluator.evaluate_file(str(folder / "text.txt"))

    def command(*arguments):
        result = CliRunner().invoke(app, list(map(str, arguments)))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception

    yield "eval", lambda: load().evaluate(TEXT)
    yield "eval --split", lambda: load().evaluate_split("test")
    yield "generate", lambda: load().generate("The", max_new_tokens=6, seed=1)
    yield "generate --beam", lambda: load().generate("The", max_new_tokens=4, beam=2)
    yield "eval --cache", lambda: load().with_cache().evaluate(TEXT)
    yield "eval --dynamic", dynamic
    yield "eval --context both", lambda: list(load().score(TEXT, context="both"))
    yield "train --resume", lambda: resume_run(folder, CPU).run.learner.advance()
    yield "train --recipe", lambda: read_recipe(folder / "recipe.toml")
    yield "info", lambda: command("info", folder)
    yield "info --json", lambda: command("info", folder, "--json")
    yield "list", lambda: command("list")
    yield "plot", lambda: command("plot", folder)


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_checkpoint_works_or_is_refused_in_one_short_line(
    kind, original, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    folder = Path("checkpoints/changed")
    random = Random(kind)
    copied = original(kind)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(ROUNDS):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(copied, folder)
        changed = mutate_checkpoint(folder, random)
        for what, use in read(folder):
            try:
                use()
            except CharlmError as error:
                said = str(error)
                assert "\n" not in said and len(said) < MAX_LINE, (changed, what, said)
            except Exception as error:
                raise AssertionError(f"{changed}: {what} failed: {error!r}") from error
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < MODEST


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_that_nothing_was_changed_in_works(kind, original, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(original(kind), "checkpoints/same")

    for what, use in read(Path("checkpoints/same")):
        if what == "eval --context both":
            refused = kind != "bpe"  # the others read in one direction
        elif what in ("eval --cache", "eval --dynamic"):
            refused = kind == "byte"  # it predicts lengths
        else:
            refused = what == "train --resume" and kind == "bpe"  # both halves are finished
        with pytest.raises(CharlmError) if refused else nullcontext():
            use()


def test_the_same_seed_makes_the_same_change(original, tmp_path):
    for name in "ab":
        shutil.copytree(original("char"), tmp_path / name)

    said = [mutate_checkpoint(tmp_path / name, Random(3)) for name in "ab"]

    assert said[0] == said[1]
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
