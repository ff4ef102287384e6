"""Surprisal of words, sentences and lines: sums over tokens that add up to the text's total.

A word is a run of characters without ASCII white space, at every token level. With a word
tokenizer, the surprisal of a word is the sum over its tokens: `moon.` is `moon` plus `.`.

At the other levels a word includes its end, so that `cat` and `cats` are mutually exclusive
(Pimentel & Meister 2024, arXiv:2406.14561; Oh & Schuler 2024, arXiv:2406.10851):

    P(word) = P(its symbols) P(then white space or <stop>)

The white space between two words then only has to encode which white space it is, given that the
first word ended. This is counted with the second word:

    nats(word) = nats of the white space before the word and of its symbols
                 - `ending` at the start of that white space, if a word came before
                 + `ending` after the word

where `ending` is the joint -log P of `<stop>` and all tokens that begin with white space. The terms
of consecutive words cancel. The first word of a sentence needs no white space before it. The rest
of a sentence, after its last word, is a separate segment with the text `<stop>`.

Words are separated only at tokens that begin with white space, and tokens are never split. A token
with white space after other characters, as byte pairs of rare Unicode spaces may have, belongs to
the word in which it begins. A white space character that the model does not know is `<other>`. It
also separates words, but no `ending` is counted there, because the model cannot tell that it is
white space.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import StringIO
from itertools import groupby

from charlm.evaluation.result import BITS_PER_NAT
from charlm.evaluation.surprisal import (
    ANY_LINE_ENDING,
    WHITE_SPACE,
    TokenSurprisal,
    begins_with_space,
)
from charlm.text import STOP, Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """A word, sentence or line: consecutive tokens and the sum of their surprisal.

    Characters are counted from 0, sentences and places from 1, as in `TokenSurprisal`. `text` is
    the text from `char_start` to `char_end`, except in the `<stop>` segment of a sentence.
    """

    sentence: int  # that of its first token
    place: int  # position of a word in its sentence, or of a sentence or line in the text
    text: str
    nats: float
    num_tokens: int
    num_other: int
    char_start: int
    char_end: int
    entropy: float | None = None  # in nats; only for exactly one token
    rank: int | None = None  # only for exactly one token
    is_stop: bool = False  # the rest of a sentence after its last word

    @property
    def surprisal_bits(self) -> float:
        return self.nats * BITS_PER_NAT

    @property
    def entropy_bits(self) -> float | None:
        return None if self.entropy is None else self.entropy * BITS_PER_NAT


def by_word(tokens: Iterable[TokenSurprisal], tokenizer: Tokenizer) -> Iterator[Segment]:
    """Yield the words of each sentence and then its `<stop>` segment; see the module docstring.

    With a tokenizer of another level than "word", all tokens must have their `ending`.
    """
    whole_words = tokenizer.level == "word"
    spelling = word_with_space if whole_words else symbol_speller(tokenizer)
    group: list[TokenSurprisal] = []
    in_word = False  # the group contains more than white space
    counted: float | None = None  # nats of the first token counted with the word before it
    place = 1
    for token in tokens:
        spelt = spelling(token)
        if in_word and (token.is_stop or begins_with_space(spelt)):
            ending = None if whole_words else known_ending(token)
            yield word(group, place, counted, ending)
            group, in_word, counted, place = [], False, ending, place + 1
        group.append(token)
        if token.is_stop:
            yield sentence_end(group, place, counted)
            group, counted, place = [], None, 1
        elif spelt.strip(WHITE_SPACE):
            in_word = True


def by_sentence(tokens: Iterable[TokenSurprisal]) -> Iterator[Segment]:
    """Yield the sentences of a text, each with the `<stop>` that ends it."""
    for sentence, group in groupby(tokens, key=lambda token: token.sentence):
        yield segment(group, sentence)


def by_line(
    tokens: Iterable[TokenSurprisal], line_ending: re.Pattern[str] = ANY_LINE_ENDING
) -> Iterator[Segment]:
    """Yield each line in which a token begins, with its line number as place.

    The line break is not part of the line's text. The nats of a line break token count for the
    line that it ends. `line_ending` must be that of `token_surprisals`.
    """
    for line, group in groupby(tokens, key=lambda token: token.line):
        whole = segment(group, line)
        ending = line_ending.search(whole.text)
        text = whole.text[: ending.start()] if ending else whole.text
        yield replace(whole, text=text, char_end=whole.char_start + len(text))


def segment(tokens: Iterable[TokenSurprisal], place: int) -> Segment:
    """Combine one or more tokens into a segment."""
    tokens = iter(tokens)
    first = last = next(tokens)
    nats, num_tokens, num_other = first.nats, 1, first.num_other
    text = StringIO(newline="")
    text.write(first.own)
    for last in tokens:
        nats, num_tokens, num_other = nats + last.nats, num_tokens + 1, num_other + last.num_other
        text.write(last.source)
    return Segment(
        sentence=first.sentence,
        place=place,
        text=text.getvalue(),
        nats=nats,
        num_tokens=num_tokens,
        num_other=num_other,
        char_start=first.char_end - len(first.own),
        char_end=last.char_end,
        entropy=first.entropy if num_tokens == 1 else None,
        rank=first.rank if num_tokens == 1 else None,
    )


def word(
    tokens: Sequence[TokenSurprisal], place: int, counted: float | None, ending: float | None
) -> Segment:
    """Return a word with its end, without the white space around it.

    Args:
        tokens: the white space before the word, and the word.
        place: position in the sentence.
        counted: nats of the first token already counted with the word before it, if any.
        ending: nats of the end after the last token; None: not counted.
    """
    whole = corrected(segment(tokens, place), counted, ending)
    text = whole.text.strip(WHITE_SPACE)
    start = whole.char_start + len(whole.text) - len(whole.text.lstrip(WHITE_SPACE))
    return replace(whole, text=text, char_start=start, char_end=start + len(text))


def sentence_end(tokens: Sequence[TokenSurprisal], place: int, counted: float | None) -> Segment:
    """Return the rest of a sentence after its words: white space and `<stop>`."""
    return replace(corrected(segment(tokens, place), counted, None), text=STOP, is_stop=True)


def corrected(whole: Segment, counted: float | None, ending: float | None) -> Segment:
    """Return the segment with `counted` subtracted and `ending` added to its nats.

    If either applies, entropy and rank are removed, because the segment is not a token alone.
    """
    if counted is None and ending is None:
        return whole
    nats = whole.nats - (counted or 0.0) + (ending or 0.0)
    return replace(whole, nats=nats, entropy=None, rank=None)


def known_ending(token: TokenSurprisal) -> float | None:
    """Return the nats of the word end before this token; None for `<other>`."""
    assert token.ending is not None
    return None if token.is_other else token.ending


def word_with_space(token: TokenSurprisal) -> str:
    """Return the text of a word-level token, with a space before it if white space precedes it."""
    parted = any(character in WHITE_SPACE for character in token.skipped)
    return " " * parted + token.text


def symbol_speller(tokenizer: Tokenizer) -> Callable[[TokenSurprisal], str]:
    """Return a function that decodes one token by itself, possibly to part of a character."""
    spelt = [tokenizer.decode([token]) for token in range(tokenizer.vocab_size)]

    def spell(token: TokenSurprisal) -> str:
        return token.text if token.is_other else spelt[token.token]

    return spell
