"""Minimal pairs: an acceptable sentence and an unacceptable one that differ in one feature."""

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
GROUPS = ("UID", "group", "phenomenon", "linguistics_term", "field")  # the first that is present
SHORT_NAMES = {"good": GOOD, "bad": BAD}
FORM = "a good sentence, a bad one and, if you like, their group, parted by tabs"
MAX_SHOWN = 40  # characters of a value in an error message
SURROGATE = re.compile("[\ud800-\udfff]")  # half of a UTF-16 pair, or an escaped byte

Lines = Sequence[tuple[str, str]]  # place for error messages (file and line number), and line
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MinimalPair:
    """Good and bad sentence. Pairs of one phenomenon share a group."""

    good: str
    bad: str
    group: str = ""  # empty: no group is given


def read_pairs(source: Source, *, pretokenized: bool = False) -> list[MinimalPair]:
    """Read one pair per line, from tab-separated fields or JSON objects.

    The first line determines the format. The fields are the good sentence, the bad sentence and,
    on all lines or on none, the group. If the fields are named, by a header line or as in BLiMP's
    JSON objects, they may come in any order and among others. Sentence marks are removed from
    pretokenized sentences by `strip_marks`.

    Raises:
        TextError: the file cannot be read or has no pairs, or a line is not a valid pair.
    """
    lines = filled_lines(source)
    is_json = lines[0][1].lstrip().startswith("{")
    rows = read_objects(lines) if is_json else read_table(lines)
    pairs = [pair_of(*row, pretokenized=pretokenized) for row in rows]
    if not pairs:
        raise TextError(f"{source.name} has a line of names, but no pair; add some.")
    return pairs


def filled_lines(source: Source) -> Lines:
    """Return the lines of a text with their places.

    Raises:
        TextError: the text cannot be read or is empty, or a line is blank.
    """
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
    """Yield the fields, the name of the group field and the place of each tab-separated line.

    The first line may name the fields.

    Raises:
        TextError: the names are invalid, or a line has the wrong number of fields.
    """
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
    """Check that a header line names both sentences, and no field twice.

    Raises:
        TextError: a name is missing or repeated.
    """
    if missing := {GOOD, BAD} - set(names):
        raise TextError(f"{place}: the names of the fields lack {missing.pop()}; add it.")
    if len(set(names)) < len(names):
        raise TextError(f"{place}: a field is named twice; name each by itself.")


def read_objects(lines: Lines) -> Iterator[tuple[Fields, str | None, str]]:
    """Yield the fields, the name of the group field and the place of each JSON object.

    Raises:
        TextError: a line is not a JSON object.
    """
    group: str | None = None
    for index, (place, line) in enumerate(lines):
        content = parse_object(line, place)
        if index == 0:
            group = group_name(content)
        yield content, group, place


def parse_object(line: str, place: str) -> Fields:
    """Parse a line that holds one JSON object.

    Raises:
        TextError: the line is not a JSON object, or contains surrogates.
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
    """Return the name of the field that holds the group, or None."""
    return next((name for name in GROUPS if name in names), None)


def pair_of(fields: Fields, group: str | None, place: str, *, pretokenized: bool) -> MinimalPair:
    """Return the pair described by the fields of a line.

    Raises:
        TextError: a sentence or the group is missing, not a string or blank, the sentences are
            equal, or a pretokenized sentence has a sentence mark inside.
    """
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
    """Return a number of fields with the noun, such as `2 fields`."""
    return f"{number} field{'' if number == 1 else 's'}"


def shown(value: object) -> str:
    """Return a value quoted and shortened for an error message."""
    return shorten(repr(value), MAX_SHOWN, placeholder="…")
