"""What the command line says wins over a recipe, and takes with it what it makes pointless."""

import pytest
import torch

from charlm.data import UserPath
from charlm.errors import ConfigError
from charlm.training import create_run, plan_run, read_given

CPU = torch.device("cpu")
SETTINGS = {"hidden_size": 16, "batch_size": 4, "bptt": 16, "steps": 6, "valid_every": 3}


def test_flags_win_over_a_recipe_and_a_new_length_replaces_the_old(train):
    recipe = train() / "recipe.toml"

    given = read_given(recipe, {"epochs": 2, "dropout": 0.7})

    assert (given["epochs"], given["dropout"], given["hidden_size"]) == (2, 0.7, 16)
    assert not {"steps", "warmup_steps", "valid_every"} & given.keys()


def test_a_flag_takes_the_place_of_its_alternative_in_a_recipe(train):
    recipe = train() / "recipe.toml"

    given = read_given(recipe, {"clip_value": 1.0, "hidden_size": 8, "valid": ("v.txt",)})

    assert not {"clip_norm", "embedding_size", "split"} & given.keys()


def test_without_a_text_the_error_says_how_to_name_one():
    with pytest.raises(ConfigError, match=r"charlm train corpus\.txt"):
        read_given(None, {})


@pytest.mark.parametrize(
    ("kept", "flags", "gone"),
    [
        (
            {"softmax": "adaptive", "softmax_cutoffs": (5, 9)},
            {"softmax": "full"},
            "softmax_cutoffs",
        ),
        ({"softmax": "full"}, {"softmax_cutoffs": (5, 9)}, "softmax"),
        ({"schedule": "constant", "decay_share": 0.1}, {"schedule": "cosine"}, "decay_share"),
        ({"schedule": "plateau", "plateau_factor": 2.0}, {"schedule": "cosine"}, "plateau_factor"),
        ({"averaging": "ema", "average_decay": 0.9}, {"averaging": "none"}, "average_decay"),
        ({"averaging": "tail", "average_share": 0.5}, {"averaging": "ema"}, "average_share"),
        (
            {"averaging": "triggered", "trigger_interval": 2, "valid_every": 1},
            {"averaging": "tail"},
            "trigger_interval",
        ),
    ],
    ids=str,
)
def test_what_belongs_to_a_choice_of_a_recipe_goes_with_it(corpus, tmp_path, kept, flags, gone):
    given = {"paths": (str(corpus),), **SETTINGS, **kept}
    recipe = create_run(plan_run(given, CPU), tmp_path / "run", CPU).run.folder / "recipe.toml"

    anew = read_given(recipe, flags)

    assert gone in read_given(recipe, {}) and gone not in anew
    plan = plan_run({**anew, "steps": 6}, CPU).plan
    for name, value in flags.items():
        assert getattr(plan.model if hasattr(plan.model, name) else plan.training, name) == value


def test_names_from_the_command_line_are_the_users_and_those_of_a_recipe_are_not(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[corpus]\npaths = ["a"]\ntest = ["b"]\n[training]\nembeddings = "c"\n')

    given = read_given(recipe, {"valid": ("d", "e")})
    named = read_given(recipe, {"paths": ("a",), "test": ("b",), "embeddings": "c"})

    kinds = [type(name) for name in (*given["paths"], *given["test"], given["embeddings"])]
    assert kinds == [str] * 3
    assert [type(name) for name in given["valid"]] == [UserPath] * 2
    kinds = [type(name) for name in (*named["paths"], *named["test"], named["embeddings"])]
    assert kinds == [UserPath] * 3
