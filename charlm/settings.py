"""Checking of setting names and types, for settings from files and command lines."""

import reprlib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from charlm.errors import ConfigError

Settings = TypeVar("Settings")

MAX_WHOLE = 2**63 - 1  # torch and numpy support no larger integers, and no setting needs them
QUOTED = 80  # maximum characters of a value quoted in an error message


def setting_names(kind: type[Any]) -> set[str]:
    """Return the names of a dataclass's fields."""
    return {field.name for field in fields(kind)}


def build(kind: type[Settings], content: Any) -> Settings:
    """Return a dataclass built from a table in a file, after checking names and types.

    Lists stand for tuples, which JSON and TOML do not have.

    Args:
        kind: the dataclass.
        content: a parsed JSON or TOML value, which should be a dict.

    Raises:
        ConfigError: `content` is not a dict, a name is unknown or missing, a value is of the wrong
            type, or the dataclass rejects a value.
    """
    if not isinstance(content, dict):
        raise ConfigError(f"expected a table of settings, not {shown(content)}.")
    known = setting_names(kind)
    if unknown := sorted(str(name) for name in content if name not in known):
        raise ConfigError(f"unknown settings {quote(', '.join(unknown))}.")
    if missing := [name for name in required_names(kind) if name not in content]:
        raise ConfigError(f"{', '.join(missing)} is missing.")
    listed = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
    return kind(**pick(kind, listed))


def required_names(kind: type[Any]) -> list[str]:
    """Return the names of a dataclass's fields that have no default."""
    return [
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    ]


def pick(kind: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given settings that are fields of a dataclass, after checking their types.

    Raises:
        ConfigError: a value is of the wrong type.
    """
    hints = get_type_hints(kind)
    picked = {name: given[name] for name in hints if name in given}
    for name, value in picked.items():
        if not fits(value, hints[name]):
            raise ConfigError(f"{name} must be {describe(hints[name])}, not {shown(value)}.")
    return picked


def fits(value: Any, hint: Any) -> bool:
    """Return True if a value has a declared type.

    Integers also count as floats, booleans as neither. Integers may be at most `MAX_WHOLE` in
    magnitude.
    """
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
    if hint is int or (hint is float and isinstance(value, int)):
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_WHOLE
    return isinstance(value, hint)


def shown(value: object) -> str:
    """Return a value for an error message, shortened in the middle if it is long."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = QUOTED
    try:
        return quote(short.repr(value))
    except ValueError:  # Python does not convert integers of many thousand digits
        return "a number of thousands of digits"


def quote(text: str, limit: int = QUOTED) -> str:
    """Return a text shortened in the middle to at most `limit` characters."""
    half = (limit - 3) // 2
    return text if len(text) <= limit else f"{text[:half]}...{text[-half:]}"


def reason(error: Exception, limit: int = 2 * QUOTED) -> str:
    """Return the message of a library's error on one line of at most `limit` characters."""
    return quote(" ".join(str(error).split()), limit).rstrip(".")


def describe(hint: Any) -> str:
    """Return a declared type in words, for error messages."""
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
