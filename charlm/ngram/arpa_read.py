r"""ARPA files to n-gram models, whoever wrote them: SRILM, KenLM or charlm.

Fields are divided by spaces or tabs, weights may be missing (they are 0), n-grams stand in any
order, and what stands before `\data\` is passed over.
"""

import math
import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from charlm.errors import TextError
from charlm.ngram.arpa_words import LOG10_ZERO, START, UNKNOWN, check_words, split_fields
from charlm.ngram.layout import Ids
from charlm.ngram.listed import ListedNgrams, assemble_model
from charlm.ngram.model import NgramModel
from charlm.ngram.numbered_lines import NumberedLines, quote

BATCH_LINES = 10_000  # so many are held as words at a time
COUNT = re.compile(r"ngram\s+(\d{1,9})\s*=\s*(\d{1,18})")
LARGEST = float(np.finfo(np.float64).max)


def read_arpa(lines: Iterable[str], *, words: Sequence[str], name: str) -> NgramModel:
    """Read an n-gram model over a vocabulary that is known.

    `<unk>` may be missing from the file; its probability is then 0, and so is any that the file
    gives as 10^-99 or less.

    Args:
        lines: of the file, with or without their ends.
        words: by token id, `<start>` as `<s>`, `<stop>` as `</s>`, `<other>` as `<unk>`.
        name: of the file, for messages.

    Raises:
        TextError: the file is damaged (which line is said), its words are not those of the
            vocabulary, or these cannot be written in an ARPA file.
        ConfigError: there are more n-grams than 64 bits can number.
    """
    check_words(words)
    word_ids = WordIds((word, token) for token, word in enumerate(words))
    numbered = NumberedLines(lines, name)
    counts, heading = read_counts(numbered)
    check_heading(numbered, heading, "\\1-grams:")
    orders = []
    for order, count in enumerate(counts, start=1):
        ngrams = read_ngrams(numbered, order, count, word_ids)
        if order == 1:
            check_vocabulary(ngrams, words, word_ids)
        orders.append(ngrams)
        following = "\\end\\" if order == len(counts) else f"\\{order + 1}-grams:"
        check_heading(numbered, numbered.next_filled(following), following)
    return assemble_model(orders, vocab_size=len(words), start_id=word_ids[START])


class WordIds(dict[str, int]):
    """Token ids by word. Words not in the vocabulary get the ids after it, as they come."""

    def __missing__(self, word: str) -> int:
        self[word] = len(self)
        return self[word]


def read_counts(lines: NumberedLines) -> tuple[list[int], str]:
    r"""How many n-grams of each order `\data\` announces, and the heading after it."""
    while lines.next_filled("\\data\\ (is it an ARPA file?)") != "\\data\\":
        pass
    counts: list[int] = []
    while match := COUNT.fullmatch(line := lines.next_filled("\\1-grams:")):
        if int(match[1]) != len(counts) + 1:
            raise lines.damage(f"expected the number of {len(counts) + 1}-grams, not {quote(line)}")
        counts.append(int(match[2]))
    if not counts:
        raise lines.damage(f"expected a line such as 'ngram 1=5' after \\data\\, not {quote(line)}")
    return counts, line


def check_heading(lines: NumberedLines, heading: str, expected: str) -> None:
    """Make sure that a section has as many n-grams as announced, and the next one follows."""
    if heading != expected:
        raise lines.damage(
            f"expected {expected} after as many n-grams as \\data\\ says, not {quote(heading)}"
        )


def read_ngrams(lines: NumberedLines, order: int, count: int, word_ids: WordIds) -> ListedNgrams:
    """The `count` n-grams of one section.

    Raises:
        TextError: a line is no n-gram of this order, or there are too few.
    """
    first_line = lines.number + 1
    find_ngrams = ngram_pattern(order).findall
    tokens = [np.zeros((0, order), np.int64)]
    log_probs, log_backoffs = [np.zeros(0)], [np.zeros(0)]
    for begin in range(0, count, BATCH_LINES):
        expected = min(BATCH_LINES, count - begin)
        batch, number = lines.take(expected), first_line + begin
        ngrams = find_ngrams("\n".join(batch))  # as many as lines, or one of these is wrong
        if len(ngrams) < len(batch):
            raise wrong_fields(lines, batch, order, number)
        if len(batch) < expected:
            raise lines.cut_short(f"the last of {count:,} {order}-grams")
        probs, *words, given = zip(*ngrams, strict=True)
        tokens.append(read_words(lines, words, word_ids, number))
        log_probs.append(read_logs(lines, probs, "probability of at most 0", 0.0, number))
        weights = [weight or "0" for weight in given]
        log_backoffs.append(read_logs(lines, weights, "back-off weight", LARGEST, number))
    return ListedNgrams(
        tokens=np.concatenate(tokens),
        log_probs=np.concatenate(log_probs),
        log_backoffs=np.concatenate(log_backoffs),
        lines=lines,
        first_line=first_line,
    )


def ngram_pattern(order: int) -> re.Pattern[str]:
    """A line of one n-gram: its probability, its words, and its weight, which may be missing."""
    blank, field = r"[ \t]", r"([^ \t\r\n]+)"
    fields = f"{blank}+".join([field] * (1 + order))
    return re.compile(f"^{blank}*{fields}(?:{blank}+{field})?{blank}*\r?$", re.MULTILINE)


def wrong_fields(lines: NumberedLines, batch: list[str], order: int, number: int) -> TextError:
    """The error of a batch with a line that has too few fields, or too many."""
    fits = ngram_pattern(order).search
    place, line = next((place, line) for place, line in enumerate(batch) if not fits(line))
    fields = split_fields(line)
    if not fields or fields[0].startswith("\\"):
        return lines.damage(f"there are fewer {order}-grams than \\data\\ says", number + place)
    expected = f"a probability, {order} word{'s' * (order > 1)} and perhaps a back-off weight"
    return lines.damage(f"expected {expected}, not {len(fields)} fields", number + place)


def read_words(
    lines: NumberedLines, columns: list[tuple[str, ...]], word_ids: WordIds, number: int
) -> Ids:
    """Token ids, (num_ngrams, order), of words that come as `order` columns."""
    num_known = len(word_ids)
    tokens = np.array([[word_ids[word] for word in column] for column in columns]).T
    if len(columns) > 1 and len(word_ids) > num_known:
        place = int((tokens >= num_known).any(axis=1).argmax())
        word = next(column[place] for column in columns if word_ids[column[place]] >= num_known)
        raise lines.damage(f"{quote(word)} is not among the 1-grams", number + place)
    return tokens


def read_logs(
    lines: NumberedLines, fields: Sequence[str], what: str, limit: float, number: int
) -> NDArray[np.float64]:
    """Logarithms to base 10 as natural ones, that of "zero" as minus infinity."""
    values = np.array([float_or_nan(field) for field in fields])
    wrong = ~(values <= limit)  # nan too
    if wrong.any():
        place = int(wrong.argmax())
        raise lines.damage(f"expected a log10 {what}, not {quote(fields[place])}", number + place)
    values[values <= LOG10_ZERO] = -np.inf
    return values * math.log(10)


def float_or_nan(field: str) -> float:
    """The number, or nan where there is none."""
    try:
        return float(field)
    except ValueError:
        return math.nan


def check_vocabulary(ngrams: ListedNgrams, words: Sequence[str], word_ids: WordIds) -> None:
    """Make sure that the 1-grams are the vocabulary, but for `<unk>`, which may be missing."""
    name, advice = ngrams.lines.name, "read it with the vocabulary that it was made for."
    if unknown := list(word_ids)[len(words) :]:
        raise TextError(
            f"{name} has {num_words(unknown)} that the vocabulary does not have, such as "
            f"{quote(unknown[0])}; {advice}"
        )
    listed = set(ngrams.tokens[:, 0].tolist())
    missing = [w for i, w in enumerate(words) if i not in listed and w != UNKNOWN]
    if missing:
        raise TextError(
            f"{name} lacks {num_words(missing)} of the vocabulary, such as {quote(missing[0])}; "
            f"{advice}"
        )


def num_words(words: Sequence[str]) -> str:
    """How many."""
    return "1 word" if len(words) == 1 else f"{len(words):,} words"
