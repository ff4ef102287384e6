from dataclasses import dataclass, field
from typing import Literal

import pytest

from charlm.errors import ConfigError
from charlm.settings import MAX_WHOLE, build, pick, quote, reason, setting_names, shown


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


@dataclass
class Named:
    name: str
    sizes: tuple[int, ...] = ()


def test_a_table_of_a_file_becomes_settings():
    assert build(Named, {"name": "a", "sizes": [1, 2]}) == Named("a", (1, 2))
    assert build(Named, {"name": "a"}) == Named("a")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "expected a table of settings, not None"),
        (["name"], "expected a table of settings"),
        ({}, "name is missing"),
        ({"name": None}, "name must be a text, not None"),
        ({"name": "a", "sizes": None}, "sizes must be a list, each a whole number"),
        ({"name": "a", "sizes": ["1"]}, "sizes must be a list, each a whole number"),
        ({"name": "a", "sizes": [[1]]}, "sizes must be a list, each a whole number"),
        ({"name": "a", "sizes": [MAX_WHOLE + 1]}, "sizes must be a list, each a whole number"),
        ({"name": "a", "colour": 1}, "unknown settings colour"),
        ({"name": "a", "c" * 9999: 1}, "unknown settings ccc"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_in_one_short_line(content, said):
    with pytest.raises(ConfigError, match=said) as error:
        build(Named, content)

    assert len(str(error.value)) < 200 and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["size", "rate"])
def test_numbers_that_no_program_can_use_are_refused(name):
    for value in (MAX_WHOLE + 1, -MAX_WHOLE - 2, 10**400):
        with pytest.raises(ConfigError, match=f"{name} must be a"):
            pick(Settings, {name: value})

    assert pick(Settings, {name: MAX_WHOLE}) == {name: MAX_WHOLE}


def test_a_quoted_value_is_short_and_on_one_line():
    for value in ("x" * 9999, ["y" * 99] * 99, 10**400, 1 << 99_999, {"a": [9] * 99}):
        assert len(shown(value)) <= 80


def test_what_is_short_is_quoted_whole():
    assert shown("a\nb") == "'a\\nb'" and shown([1, None]) == "[1, None]"
    assert quote("x" * 80) == "x" * 80 and len(quote("x" * 81)) <= 80


def test_the_reason_of_a_library_is_one_line_without_a_full_stop():
    assert reason(ValueError("it broke\n  here.")) == "it broke here"
    assert len(reason(ValueError("x" * 9999))) <= 160
