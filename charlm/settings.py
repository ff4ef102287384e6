"""Settings by name, as files and command lines give them: names and types are checked here."""

from collections.abc import Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from charlm.errors import ConfigError


def setting_names(kind: type[Any]) -> set[str]:
    """The names of a dataclass's fields."""
    return {field.name for field in fields(kind)}


def pick(kind: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given settings that belong to one kind, of the types it declares.

    Raises:
        ConfigError: a value is of another type.
    """
    hints = get_type_hints(kind)
    picked = {name: given[name] for name in hints if name in given}
    for name, value in picked.items():
        if not fits(value, hints[name]):
            raise ConfigError(f"{name} must be {describe(hints[name])}, not {value!r}.")
    return picked


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a declared type; whole numbers are floats too, truths are not."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if arguments[-1] is Ellipsis:
            return all(fits(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(fits, value, arguments))
    if origin is dict:
        key, item = arguments
        pairs = value.items() if isinstance(value, dict) else [(None, None)]
        return all(fits(k, key) and fits(v, item) for k, v in pairs)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def describe(hint: Any) -> str:
    """A declared type in words."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    arguments = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(describe(a) for a in arguments if a is not type(None))
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if get_origin(hint) is tuple:
        return "a list, each " + describe(arguments[0])
    if get_origin(hint) is dict:
        return f"a table from {describe(arguments[0])} to {describe(arguments[1])}"
    return words[hint]
