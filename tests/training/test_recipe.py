from pathlib import Path

import pytest

from charlm.data import CorpusConfig
from charlm.errors import ConfigError
from charlm.model import ModelConfig, default_cutoffs
from charlm.text import TextConfig
from charlm.training import Facts, Recipe, TrainingConfig, make_plan, read_recipe
from charlm.training.recipe import own_recipes


def test_a_recipe_says_everything_that_made_the_run(train, prepare, tmp_path):
    folder = train("first", cell="gru", steps=6, seed=3, dropout=0.3, level="word")

    given = read_recipe(folder / "recipe.toml")
    again = train("second", **given)

    assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert (again / "recipe.toml").read_bytes() == (folder / "recipe.toml").read_bytes()


def test_a_recipe_may_leave_settings_out(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(
        '[model]\ncell = "gru"\n[training]\ntime = "5m"\n[corpus]\nsplit = [90, 5, 5]\n'
    )

    assert read_recipe(path) == {"cell": "gru", "time": "5m", "split": (90, 5, 5)}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[model]\nshape = 1\n", r"unknown setting 'shape' in \[model\]"),
        ("[modle]\ncell = 'gru'\n", "unknown section 'modle'"),
        ("cell = 'gru'\n", "unknown section 'cell'"),
        ("[model\n", "cannot be read as TOML"),
        ("[model]\nvocab_size = 10\n", "unknown setting 'vocab_size'"),
        ("[training]\ntime = 300\n", "time must be a text"),
        ("[training]\nepochs = '3'\n", "epochs must be a number"),
        ("[training]\nbptt = '64'\n", "bptt must be a whole number"),
        ("[corpus]\npaths = [1]\n", "paths must be a list, each a text"),
    ],
)
def test_a_recipe_with_mistakes_is_one_clear_line(tmp_path, content, said):
    path = tmp_path / "recipe.toml"
    path.write_text(content)

    with pytest.raises(ConfigError, match=said):
        read_recipe(path)


def test_a_missing_recipe_is_one_clear_line(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        read_recipe(tmp_path / "recipe.toml")


@pytest.mark.parametrize("name", own_recipes())
def test_charlms_own_recipes_are_found_by_name_and_can_be_planned(name):
    given = read_recipe(Path(name))
    known = Facts(
        level=given.get("level", "char"),
        vocab_size=10_003,
        num_tokens=900_000,
        num_valid_tokens=70_000,
        num_windows=lambda training: -(-900_000 // (training.batch_size * training.bptt)),
    )

    plan = make_plan(given, known, lambda model, training, seconds: 0.01)

    assert plan.num_epochs >= 1
    assert all(getattr(plan.model, k, v) == v for k, v in given.items() if k != "vocab_size")
    assert all(getattr(plan.training, k, v) == v for k, v in given.items())


def test_a_file_of_ones_own_is_read_before_a_recipe_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("ptb-awd").write_text("[model]\nhidden_size = 7\n")

    assert read_recipe(Path("ptb-awd")) == {"hidden_size": 7}


def test_cutoffs_that_follow_from_the_vocabulary_are_not_written(tmp_path):
    shape = {"vocab_size": 10_003, "softmax": "adaptive"}
    kinds = (CorpusConfig(paths=("a",)), TextConfig(level="word"))
    training = TrainingConfig(steps=1)
    planned = ModelConfig(**shape, softmax_cutoffs=default_cutoffs(10_003))
    own = ModelConfig(**shape, softmax_cutoffs=(17, 99))

    assert "softmax_cutoffs" not in Recipe(*kinds, planned, training).to_toml()
    assert "softmax_cutoffs = [17, 99]" in Recipe(*kinds, own, training).to_toml()


@pytest.mark.parametrize(
    "content",
    [
        "[training]\nsteps = " + "9" * 5000,
        "[training]\nsteps = 0x" + "f" * 5000,
        "[training]\nsteps = [[1]]",
        "[training]\n" + "x" * 5000 + " = 1",
        "[" + "x" * 5000 + "]\na = 1",
        "[corpus]\npaths = [1979-05-27]",
    ],
)
def test_a_recipe_that_cannot_be_is_one_short_line(tmp_path, content):
    path = tmp_path / "recipe.toml"
    path.write_text(content)

    with pytest.raises(ConfigError) as error:
        read_recipe(path)

    assert "\n" not in str(error.value) and len(str(error.value)) < 300
