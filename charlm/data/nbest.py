"""N-best lists of a recogniser, one hypothesis per line, and their references."""

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
MAX_SHOWN = 40  # characters of a field in an error message
NUMBER = re.compile(r" *[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)? *")
BEGIN_MARK = "<s>"
END_MARKS = ("</s>", "<eos>", STOP)


@dataclass(frozen=True, slots=True)
class NbestEntry:
    """Hypothesis of a recogniser for one utterance."""

    utterance: str  # id; not part of the text
    score: float  # natural logarithm of a probability; higher is better
    text: str  # may be empty: the recogniser found nothing
    line: int  # line number in the file, from 1


def read_nbest(source: Source) -> list[NbestEntry]:
    """Read n-best lists from lines of `utterance<TAB>score<TAB>text`.

    The entries are grouped by utterance, in the order of the first line of each utterance. Within
    an utterance they keep their order.

    Raises:
        TextError: the file cannot be read or is empty, or a line is not of this form.
    """
    lists: dict[str, list[NbestEntry]] = {}
    for line, (utterance, score, text) in read_fields(source, NBEST_FIELDS):
        value = parse_score(score, f"{source.name}:{line}")
        lists.setdefault(utterance, []).append(NbestEntry(utterance, value, text, line))
    return [entry for entries in lists.values() for entry in entries]


def read_references(source: Source) -> dict[str, str]:
    """Read reference transcripts from lines of `utterance<TAB>text`, in the order of the file.

    Raises:
        TextError: the file cannot be read or is empty, a line is not of this form, or an utterance
            has two references.
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
    """Check that every utterance has both hypotheses and a reference.

    Args:
        entries: n-best lists.
        references: reference text by utterance.
        nbest: name of the n-best file in error messages.
        name: name of the reference file in error messages.

    Raises:
        TextError: an utterance has no reference, or a reference has no hypotheses.
    """
    utterances = dict.fromkeys(entry.utterance for entry in entries)
    if missing := [utterance for utterance in utterances if utterance not in references]:
        raise TextError(f"{name} has no reference for {some(missing)} of {nbest}; add what lacks.")
    if missing := [utterance for utterance in references if utterance not in utterances]:
        raise TextError(f"{nbest} has no hypothesis for {some(missing)} of {name}; add what lacks.")


def plain_texts(lines: Iterable[tuple[int, str]], spaces: str | None, name: str) -> Iterator[str]:
    """Yield texts in the form that a model reads, without space at either end.

    Args:
        lines: line number and text of each line.
        spaces: symbol that represents a space in texts of space-separated characters, as written by
            handwriting recognisers: with `|`, `T h e | c a t` is `The cat`. None: texts are plain
            text.
        name: name of the file in error messages.

    Raises:
        TextError: `spaces` is given, and a text is not made of space-separated characters.
    """
    for line, text in lines:
        if spaces is not None:
            text = join_characters(text, spaces, f"{name}:{line}")
        yield text.strip()


def join_characters(text: str, spaces: str, place: str) -> str:
    """Join space-separated characters into a text; the symbol `spaces` becomes a space.

    Raises:
        TextError: the parts of `text` are not single characters.
    """
    characters = text.split()
    for character in characters:
        if character != spaces and not is_character(character):
            raise TextError(
                f"{place}: expected characters parted by spaces, but found {shown(character)}; "
                f"part its characters, or leave out --spaces."
            )
    return "".join(" " if character == spaces else character for character in characters)


def is_character(text: str) -> bool:
    """Return whether `text` is one code point, optionally followed by combining marks."""
    return all(unicodedata.category(mark).startswith("M") for mark in text[1:])


def strip_marks(text: str, place: str) -> str:
    """Remove the sentence marks that decoders leave at the ends of a text.

    The marks are `<s>` at the beginning and `</s>`, `<eos>` or `<stop>` at the end. This is for
    models of pretokenized texts, which encode an end mark as `<stop>` and add one to each sentence.

    Args:
        text: text without space at either end.
        place: file and line number for error messages.

    Raises:
        TextError: a mark is inside the text, where it would end the sentence.
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
    """Yield the number and the tab-separated fields of each line; field 0 is the utterance id.

    Raises:
        TextError: the file cannot be read or is empty, or a line is blank, has the wrong number of
            fields or has no valid id.
    """
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
    """Return the lines of a text without their line breaks, which are `\\n` only.

    Raises:
        TextError: the text cannot be read; if it is not UTF-8, the message gives the line.
    """
    try:
        lines = whole_text(source).split("\n")
    except TextError:
        check_encoding(source)
        raise
    if lines[-1] == "":
        lines.pop()  # the text after the last line break
    return lines


def check_encoding(source: Source) -> None:
    """Check that a text is UTF-8, and report the line of the first byte that is not.

    Raises:
        TextError: the text is not UTF-8 or cannot be read.
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
    """Check an utterance id.

    Raises:
        TextError: the id is empty or contains white space.
    """
    if not utterance:
        raise TextError(f"{place}: the utterance has no id before the first tab; give it one.")
    if utterance.split() != [utterance]:
        raise TextError(
            f"{place}: the utterance id {shown(utterance)} holds white space; write it as one word."
        )


def parse_score(score: str, place: str) -> float:
    """Parse the score of a hypothesis.

    Raises:
        TextError: the score is not a finite decimal number, or its absolute value exceeds 1e100.
    """
    if not NUMBER.fullmatch(score) or abs(float(score)) > LARGEST_SCORE:
        raise TextError(
            f"{place}: the score must be a finite number, a log-probability, not {shown(score)}."
        )
    return float(score)


def shown(field: str) -> str:
    """Return a field quoted and shortened for an error message."""
    return repr(field if len(field) <= MAX_SHOWN else field[:MAX_SHOWN] + "…")


def some(utterances: Sequence[str]) -> str:
    """Return the first utterance, and the number of the others."""
    more = f" and {len(utterances) - 1:,} more" if len(utterances) > 1 else ""
    return shown(utterances[0]) + more
