"""Minimal pairs: two sentences that differ in one thing, which makes one of them good."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from charlm.data.nbest import read_lines, strip_marks
from charlm.data.sources import Source
from charlm.errors import TextError
from charlm.untrusted import parse_json

GOOD, BAD = "sentence_good", "sentence_bad"  # as in BLiMP (Warstadt et al. 2020)
GROUPS = ("UID", "group", "phenomenon", "linguistics_term", "field")  # the first there is counts
SHORT_NAMES = {"good": GOOD, "bad": BAD}
FORM = "a good sentence, a bad one and, if you like, their group, parted by tabs"
MAX_SHOWN = 40  # characters of a value that a message quotes
SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, or a byte that is no text

Lines = Sequence[tuple[str, str]]  # what messages call a line (file and number), and the line
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MinimalPair:
    """A good sentence and a bad one; pairs of one phenomenon are a group."""

    good: str
    bad: str
    group: str = ""  # empty: none is named


def read_pairs(source: Source, *, pretokenized: bool = False) -> list[MinimalPair]:
    """Read a pair a line: fields parted by tabs, or JSON objects; the first line tells which.

    Fields are good sentence, bad sentence and, on all lines or on none, group. Where the first
    line names them, as BLiMP's objects do, they come in any order and among others. Pretokenized
    sentences come without the marks of their ends, as from `strip_marks`.

    Raises:
        TextError: the text cannot be read or is empty, or a line is no such pair.
    """
    lines = filled_lines(source)
    is_json = lines[0][1].lstrip().startswith("{")
    rows = read_objects(lines) if is_json else read_table(lines)
    pairs = [pair_of(*row, pretokenized=pretokenized) for row in rows]
    if not pairs:
        raise TextError(f"{source.name} has a line of names, but no pair; add some.")
    return pairs


def filled_lines(source: Source) -> Lines:
    """The lines of a text, none of them blank."""
    lines = read_lines(source)
    if not lines:
        raise TextError(f"{source.name} is empty; write on each line {FORM}.")
    numbered = []
    for number, line in enumerate(lines, 1):
        place = f"{source.name}:{number}"
        if not line.strip():
            raise TextError(f"{place}: the line is blank; remove it.")
        numbered.append((place, line.removesuffix("\r")))
    return numbered


def read_table(lines: Lines) -> Iterator[tuple[Fields, str | None, str]]:
    """Lines of fields, with the one that holds the group; the first line may name them."""
    place, first = lines[0]
    names = [SHORT_NAMES.get(name, name) for name in first.split("\t")]
    if GOOD in names or BAD in names:
        check_names(names, place)
        lines = lines[1:]
    elif len(names) in (2, 3):
        names = [GOOD, BAD, GROUPS[0]][: len(names)]
    else:
        raise TextError(f"{place}: expected {FORM}, but found {counted(len(names))}.")
    group = group_name(names)
    for place, line in lines:
        fields = line.split("\t")
        if len(fields) != len(names):
            raise TextError(
                f"{place}: expected {counted(len(names))} as on the first line, parted by tabs, "
                f"but found {len(fields)}."
            )
        yield dict(zip(names, fields, strict=True)), group, place


def check_names(names: Sequence[str], place: str) -> None:
    """A line of names names both sentences, and nothing twice."""
    if missing := {GOOD, BAD} - set(names):
        raise TextError(f"{place}: the names of the fields lack {missing.pop()}; add it.")
    if len(set(names)) < len(names):
        raise TextError(f"{place}: a field is named twice; name each by itself.")


def read_objects(lines: Lines) -> Iterator[tuple[Fields, str | None, str]]:
    """Lines of JSON objects, with the field that holds the group."""
    group: str | None = None
    for index, (place, line) in enumerate(lines):
        content = parse_object(line, place)
        if index == 0:
            group = group_name(content)
        yield content, group, place


def parse_object(line: str, place: str) -> Fields:
    """The fields of the JSON object that a line holds.

    Raises:
        TextError: it holds something else.
    """
    try:
        content = parse_json(line)
    except ValueError as error:
        raise TextError(f"{place}: broken JSON ({error}); write one object a line.") from None
    if not isinstance(content, dict):
        raise TextError(f"{place}: expected a JSON object, not {shown(line)}.")
    if SURROGATE.search(json.dumps(content, ensure_ascii=False)):
        raise TextError(f"{place}: expected JSON in UTF-8, but found part of a character.")
    return content


def group_name(names: Iterable[str]) -> str | None:
    """The field that holds the group."""
    return next((name for name in GROUPS if name in names), None)


def pair_of(fields: Fields, group: str | None, place: str, *, pretokenized: bool) -> MinimalPair:
    """A pair of two sentences that are there and differ."""
    for name in (GOOD, BAD) if group is None else (GOOD, BAD, group):
        value = fields.get(name)
        if not isinstance(value, str):
            found = f"found {shown(value)}" if name in fields else "there is none"
            raise TextError(f"{place}: expected a text as {name!r}, but {found}.")
        if not value.strip():
            raise TextError(f"{place}: {name} is empty; write it, or remove the line.")
    good, bad = fields[GOOD], fields[BAD]
    if pretokenized:
        good, bad = (strip_marks(sentence.strip(), place) for sentence in (good, bad))
    if good == bad:
        raise TextError(f"{place}: both sentences are the same; change or remove one.")
    return MinimalPair(good, bad, "" if group is None else fields[group])


def counted(number: int) -> str:
    """How many fields."""
    return f"{number} field{'' if number == 1 else 's'}"


def shown(value: object) -> str:
    """A value as a message quotes it."""
    return shorten(repr(value), MAX_SHOWN, placeholder="…")
