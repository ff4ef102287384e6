"""Settings by name, as files and command lines give them: names and types are checked here."""

import reprlib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from charlm.errors import ConfigError

Settings = TypeVar("Settings")

MAX_WHOLE = 2**63 - 1  # larger numbers fit neither torch nor numpy, and no setting needs them
QUOTED = 80  # characters of a value that a message quotes


def setting_names(kind: type[Any]) -> set[str]:
    """The names of a dataclass's fields."""
    return {field.name for field in fields(kind)}


def build(kind: type[Settings], content: Any) -> Settings:
    """Make a dataclass from a table that a file holds; each field is checked by its declared type.

    Lists stand for tuples, which JSON and TOML do not have.

    Raises:
        ConfigError: it is no table, a name is unknown or missing, a value is of another type, or
            the dataclass itself refuses it.
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
    """The given settings that belong to one kind, of the types it declares.

    Raises:
        ConfigError: a value is of another type.
    """
    hints = get_type_hints(kind)
    picked = {name: given[name] for name in hints if name in given}
    for name, value in picked.items():
        if not fits(value, hints[name]):
            raise ConfigError(f"{name} must be {describe(hints[name])}, not {shown(value)}.")
    return picked


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a declared type; whole numbers are floats too, truths are not.

    Whole numbers have 64 bits at most.
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
    """Return a value as a message quotes it, shortened in the middle where it is long."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = QUOTED
    try:
        return quote(short.repr(value))
    except ValueError:  # Python refuses to write numbers of many thousand digits
        return "a number of thousands of digits"


def quote(text: str, limit: int = QUOTED) -> str:
    """Shorten a text in the middle to what a message has room for."""
    half = (limit - 3) // 2
    return text if len(text) <= limit else f"{text[:half]}...{text[-half:]}"


def reason(error: Exception, limit: int = 2 * QUOTED) -> str:
    """Return what a library's error says, on one line and no longer than a message has room for."""
    return quote(" ".join(str(error).split()), limit).rstrip(".")


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
