r"""Reader for ARPA files of n-gram models, as written by SRILM, KenLM or charlm.

Fields are separated by spaces or tabs. Back-off weights may be missing; they are then 0. N-grams
may be in any order. Everything before `\data\` is ignored.
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

BATCH_LINES = 10_000  # maximum number of lines held as words at a time
COUNT = re.compile(r"ngram\s+(\d{1,9})\s*=\s*(\d{1,18})")
LARGEST = float(np.finfo(np.float64).max)


def read_arpa(lines: Iterable[str], *, words: Sequence[str], name: str) -> NgramModel:
    """Read an n-gram model over a known vocabulary.

    `<unk>` may be missing from the file; its probability is then 0. Probabilities of 10^-99 or less
    are read as 0.

    Args:
        lines: lines of the file, with or without line endings.
        words: word of each token id, with `<start>` as `<s>`, `<stop>` as `</s>` and `<other>` as
            `<unk>`.
        name: name of the file, for messages.

    Raises:
        TextError: the file is damaged (the message names the line), its words are not those of the
            vocabulary, or a word of the vocabulary cannot be written in an ARPA file.
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
    """Token ids by word. Unknown words get the ids after the vocabulary, in order of lookup."""

    def __missing__(self, word: str) -> int:
        self[word] = len(self)
        return self[word]


def read_counts(lines: NumberedLines) -> tuple[list[int], str]:
    r"""Return the number of n-grams of each order in `\data\`, and the heading after it.

    Raises:
        TextError: there is no `\data\` section, or it is damaged.
    """
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
    r"""Check that the expected heading follows a section of the size that `\data\` gives.

    Raises:
        TextError: `heading` is not the expected one.
    """
    if heading != expected:
        raise lines.damage(
            f"expected {expected} after as many n-grams as \\data\\ says, not {quote(heading)}"
        )


def read_ngrams(lines: NumberedLines, order: int, count: int, word_ids: WordIds) -> ListedNgrams:
    """Read the `count` n-grams of one section.

    Raises:
        TextError: a line is not an n-gram of this order, or there are too few lines.
    """
    first_line = lines.number + 1
    find_ngrams = ngram_pattern(order).findall
    tokens = [np.zeros((0, order), np.int64)]
    log_probs, log_backoffs = [np.zeros(0)], [np.zeros(0)]
    for begin in range(0, count, BATCH_LINES):
        expected = min(BATCH_LINES, count - begin)
        batch, number = lines.take(expected), first_line + begin
        ngrams = find_ngrams("\n".join(batch))  # one per line, unless a line is wrong
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
    """Return the pattern of an n-gram's line: probability, words and an optional weight."""
    blank, field = r"[ \t]", r"([^ \t\r\n]+)"
    fields = f"{blank}+".join([field] * (1 + order))
    return re.compile(f"^{blank}*{fields}(?:{blank}+{field})?{blank}*\r?$", re.MULTILINE)


def wrong_fields(lines: NumberedLines, batch: list[str], order: int, number: int) -> TextError:
    """Return the error for the first line of a batch with a wrong number of fields.

    `number` is the line number of the first line of the batch.
    """
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
    """Return the token ids, (num_ngrams, order), of words given as `order` columns.

    Raises:
        TextError: an n-gram of order 2 or more has a word that is not among the 1-grams.
    """
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
    """Convert base-10 logarithms to natural ones; -99 and below become minus infinity.

    Raises:
        TextError: a field is not a number, or exceeds `limit`.
    """
    values = np.array([float_or_nan(field) for field in fields])
    wrong = ~(values <= limit)  # also true for NaN
    if wrong.any():
        place = int(wrong.argmax())
        raise lines.damage(f"expected a log10 {what}, not {quote(fields[place])}", number + place)
    values[values <= LOG10_ZERO] = -np.inf
    return values * math.log(10)


def float_or_nan(field: str) -> float:
    """Return the number in a field, or NaN if it is not a number."""
    try:
        return float(field)
    except ValueError:
        return math.nan


def check_vocabulary(ngrams: ListedNgrams, words: Sequence[str], word_ids: WordIds) -> None:
    """Check that the 1-grams are exactly the vocabulary; only `<unk>` may be missing.

    Raises:
        TextError: the file has other words, or lacks some.
    """
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
    """Return the number of words in words."""
    return "1 word" if len(words) == 1 else f"{len(words):,} words"
