from dataclasses import dataclass, field
from typing import Literal

import pytest

from charlm.errors import ConfigError
from charlm.settings import pick, setting_names


@dataclass
class Settings:
    size: int = 1
    rate: float = 0.5
    flag: bool = False
    name: str | None = None
    kind: Literal["a", "b"] = "a"
    paths: tuple[str, ...] = ()
    pair: tuple[float, float] = (0.0, 0.0)
    bias: dict[str, float] = field(default_factory=dict)


@pytest.mark.parametrize(
    "good",
    [
        {"size": 3},
        {"rate": 2},
        {"rate": 2.5, "flag": True},
        {"name": None, "kind": "b"},
        {"name": "x", "paths": ("a", "b"), "pair": (1, 2.5)},
        {"bias": {}},
        {"bias": {"a": 1, "b": -2.5}},
    ],
)
def test_settings_of_the_declared_types_are_taken(good):
    assert pick(Settings, {**good, "of_another_kind": 1}) == good


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"size": "big"}, "size must be a whole number, not 'big'"),
        ({"size": 1.5}, "size must be a whole number"),
        ({"size": True}, "size must be a whole number"),
        ({"rate": "fast"}, "rate must be a number"),
        ({"flag": 1}, "flag must be true or false"),
        ({"kind": "c"}, "kind must be one of a, b"),
        ({"paths": "a"}, "paths must be a list, each a text"),
        ({"paths": (1,)}, "paths must be a list, each a text"),
        ({"pair": (1,)}, "pair must be a list, each a number"),
        ({"name": 3}, "name must be a text"),
        ({"bias": 3}, "bias must be a table from a text to a number, not 3"),
        ({"bias": ("a", 1.0)}, "bias must be a table from a text to a number"),
        ({"bias": {1: 1.0}}, "bias must be a table from a text to a number"),
        ({"bias": {"a": "much"}}, "bias must be a table from a text to a number"),
        ({"bias": {"a": 1.0, "b": True}}, "bias must be a table from a text to a number"),
        ({"bias": {"a": None}}, "bias must be a table from a text to a number"),
    ],
)
def test_a_setting_of_another_type_is_one_clear_line(bad, said):
    with pytest.raises(ConfigError, match=said):
        pick(Settings, bad)


def test_the_names_are_the_fields():
    names = {"size", "rate", "flag", "name", "kind", "paths", "pair", "bias"}
    assert setting_names(Settings) == names
