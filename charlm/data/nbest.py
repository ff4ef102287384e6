"""N-best lists and their references: what a recogniser heard or read, a hypothesis a line."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from charlm.data.sources import Source, whole_content, whole_text
from charlm.errors import TextError
from charlm.text import STOP

NBEST_FIELDS = ("utterance", "score", "text")
REFERENCE_FIELDS = ("utterance", "text")
LARGEST_SCORE = 1e100  # beyond it, differences of scores overflow
MAX_SHOWN = 40  # characters of a field that a message quotes
NUMBER = re.compile(r" *[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)? *")
BEGIN_MARK = "<s>"
END_MARKS = ("</s>", "<eos>", STOP)


@dataclass(frozen=True, slots=True)
class NbestEntry:
    """One hypothesis of an utterance, as the recogniser gave it."""

    utterance: str  # an id, never scored
    score: float  # natural logarithm; higher is better
    text: str  # empty: the recogniser found nothing said or written
    line: int  # of the file, from 1


def read_nbest(source: Source) -> list[NbestEntry]:
    """Read lines of `utterance<TAB>score<TAB>text`.

    The entries of an utterance come together, in their order; utterances in the order of their
    first lines.

    Raises:
        TextError: the text cannot be read or is empty, or a line is not of this form.
    """
    lists: dict[str, list[NbestEntry]] = {}
    for line, (utterance, score, text) in read_fields(source, NBEST_FIELDS):
        value = parse_score(score, f"{source.name}:{line}")
        lists.setdefault(utterance, []).append(NbestEntry(utterance, value, text, line))
    return [entry for entries in lists.values() for entry in entries]


def read_references(source: Source) -> dict[str, str]:
    """Read lines of `utterance<TAB>text`: what was really said or written, in the file's order.

    Raises:
        TextError: the text cannot be read or is empty, or a line is not of this form or gives an
            utterance its second reference.
    """
    references: dict[str, str] = {}
    for line, (utterance, text) in read_fields(source, REFERENCE_FIELDS):
        if utterance in references:
            raise TextError(
                f"{source.name}:{line}: {shown(utterance)} has a reference already; keep one."
            )
        references[utterance] = text
    return references


def check_references(
    entries: Sequence[NbestEntry], references: Mapping[str, str], nbest: str, name: str
) -> None:
    """Every utterance has both hypotheses and a reference.

    Args:
        entries: the n-best lists.
        references: a text for each utterance.
        nbest: what messages call the lists.
        name: what messages call the references.

    Raises:
        TextError: one is without the other.
    """
    utterances = dict.fromkeys(entry.utterance for entry in entries)
    if missing := [utterance for utterance in utterances if utterance not in references]:
        raise TextError(f"{name} has no reference for {some(missing)} of {nbest}; add what lacks.")
    if missing := [utterance for utterance in references if utterance not in utterances]:
        raise TextError(f"{nbest} has no hypothesis for {some(missing)} of {name}; add what lacks.")


def plain_texts(lines: Iterable[tuple[int, str]], spaces: str | None, name: str) -> Iterator[str]:
    """Texts as a model reads them, without space at either end.

    Args:
        lines: each text with the number of its line.
        spaces: None, where the spaces of a text are its own. Otherwise texts are characters parted
            by spaces, as handwriting recognisers write them, and this symbol stands for a space:
            with `|`, `T h e | c a t` is `The cat`.
        name: what messages call the file.

    Raises:
        TextError: with `spaces`, something else than characters is parted by spaces.
    """
    for line, text in lines:
        if spaces is not None:
            text = join_characters(text, spaces, f"{name}:{line}")
        yield text.strip()


def join_characters(text: str, spaces: str, place: str) -> str:
    """Characters parted by spaces as a text; the symbol `spaces` becomes a space."""
    characters = text.split()
    for character in characters:
        if character != spaces and not is_character(character):
            raise TextError(
                f"{place}: expected characters parted by spaces, but found {shown(character)}; "
                f"part its characters, or leave out --spaces."
            )
    return "".join(" " if character == spaces else character for character in characters)


def is_character(text: str) -> bool:
    """Whether it is one code point, with any marks that combine with it."""
    return all(unicodedata.category(mark).startswith("M") for mark in text[1:])


def strip_marks(text: str, place: str) -> str:
    """A text without the `<s>` and `</s>` or `<eos>` that decoders leave at its ends.

    For models of pretokenized texts, to which `</s>` is the end that every sentence has anyhow.

    Args:
        text: without space at either end.
        place: what messages call the line: file and number.

    Raises:
        TextError: a mark is elsewhere, where it would end the sentence.
    """
    words = text.lower().split()
    if words[:1] == [BEGIN_MARK]:
        text, words = text[len(BEGIN_MARK) :].lstrip(), words[1:]
    if words and words[-1] in END_MARKS:
        text, words = text[: -len(words[-1])].rstrip(), words[:-1]
    for word in words:
        if word in (BEGIN_MARK, *END_MARKS):
            raise TextError(f"{place}: {word} is an end of a sentence within one; take it out.")
    return text


def read_fields(source: Source, names: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The fields of each line with its number; the first is an utterance's id."""
    lines = read_lines(source)
    form = f"{', '.join(names[:-1])} and {names[-1]}, parted by tabs"
    if not lines:
        raise TextError(f"{source.name} is empty; write a line of {form}, for each.")
    for number, line in enumerate(lines, 1):
        place = f"{source.name}:{number}"
        if not line.strip():
            raise TextError(f"{place}: the line is blank; expected {form}.")
        fields = line.removesuffix("\r").split("\t")
        if len(fields) == 1:
            raise TextError(f"{place}: expected {form}; this line has no tab.")
        if len(fields) != len(names):
            count = len(names)
            answer = "add what lacks" if len(fields) < count else f"`cut -f 1-{count}` cuts it"
            raise TextError(f"{place}: expected {form}, but found {len(fields)} fields; {answer}.")
        check_utterance(fields[0], place)
        yield number, fields


def read_lines(source: Source) -> list[str]:
    """The lines of a text without their line breaks, which are `\\n` alone.

    Raises:
        TextError: it cannot be read; where it is not UTF-8, the line is named.
    """
    try:
        lines = whole_text(source).split("\n")
    except TextError:
        check_encoding(source)
        raise
    if lines[-1] == "":
        lines.pop()  # what follows the last line break
    return lines


def check_encoding(source: Source) -> None:
    """Tell the line where a text is not UTF-8.

    Raises:
        TextError: there is one, or the text cannot be read.
    """
    content = whole_content(source)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
        encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "latin1"
        raise TextError(
            f"{source.name}:{line}: not UTF-8 (0x{byte:02x}); convert the file, for example with "
            f"`iconv -f {encoding} -t utf-8`."
        ) from None


def check_utterance(utterance: str, place: str) -> None:
    """An id is one word."""
    if not utterance:
        raise TextError(f"{place}: the utterance has no id before the first tab; give it one.")
    if utterance.split() != [utterance]:
        raise TextError(
            f"{place}: the utterance id {shown(utterance)} holds white space; write it as one word."
        )


def parse_score(score: str, place: str) -> float:
    """A finite number."""
    if not NUMBER.fullmatch(score) or abs(float(score)) > LARGEST_SCORE:
        raise TextError(
            f"{place}: the score must be a finite number, a log-probability, not {shown(score)}."
        )
    return float(score)


def shown(field: str) -> str:
    """A field as a message quotes it."""
    return repr(field if len(field) <= MAX_SHOWN else field[:MAX_SHOWN] + "…")


def some(utterances: Sequence[str]) -> str:
    """The first of them, and how many more."""
    more = f" and {len(utterances) - 1:,} more" if len(utterances) > 1 else ""
    return shown(utterances[0]) + more
