import pytest

from charlm.errors import ConfigError
from charlm.training import read_recipe


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
