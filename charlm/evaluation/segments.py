"""Surprisal of words, sentences and lines: sums over their tokens that add up to the text's.

A word is a run without ASCII white space, whatever the tokens are. Word models part the text by
themselves: a word's surprisal is the sum of its tokens', as `moon` and `.` make up `moon.`.

At the other levels a word is its symbols and its end, so that `cat` and `cats` exclude each other
(Pimentel & Meister 2024, arXiv:2406.14561; Oh & Schuler 2024, arXiv:2406.10851):

    P(word) = P(its symbols) P(then white space or <stop>)

What comes between two words is left with this to say: which white space it was, given that the
word before ended. That is counted with the word after it:

    nats(word) = nats of the white space before it and of its symbols
                 - ending where that white space begins, if a word came before
                 + ending where the word is over

where `ending` is -log P of all tokens that begin with white space and of `<stop>`. The terms of
consecutive words cancel. The first word of a sentence needs no white space before it; what is left
at the end of a sentence, after its last word, is a row of its own under the name of `<stop>`.

A word is never cut between tokens that do not part it, nor a token between words: one that holds
white space after something else, as byte pairs of rare Unicode spaces may, goes to the word it
begins in. A white space character that the model does not know is `<other>`; it parts words too,
but their ends are not counted there, since the model could not tell that it was one.
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
    """Consecutive tokens taken together; characters and places as in `TokenSurprisal`.

    `text` is what stands at characters `char_start` .. `char_end`, but for the row of `<stop>`.
    """

    sentence: int  # that of its first token
    place: int  # of a word in its sentence, of a sentence or line in the text
    text: str
    nats: float
    num_tokens: int
    num_other: int
    char_start: int
    char_end: int
    entropy: float | None = None  # as the rank, only of what is exactly one token
    rank: int | None = None
    is_stop: bool = False  # the row of `<stop>`: what is left of a sentence after its words

    @property
    def surprisal_bits(self) -> float:
        return self.nats * BITS_PER_NAT

    @property
    def entropy_bits(self) -> float | None:
        return None if self.entropy is None else self.entropy * BITS_PER_NAT


def by_word(tokens: Iterable[TokenSurprisal], tokenizer: Tokenizer) -> Iterator[Segment]:
    """The words of a text, and after those of each sentence its end; see above.

    Tokens of other levels than words must come with their `ending`.
    """
    whole_words = tokenizer.level == "word"
    spelling = word_with_space if whole_words else symbol_speller(tokenizer)
    group: list[TokenSurprisal] = []
    in_word = False  # the group holds more than white space
    counted: float | None = None  # of the group's first token, with the word before it
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
    """The sentences of a text, each with the `<stop>` that ends it."""
    for sentence, group in groupby(tokens, key=lambda token: token.sentence):
        yield segment(group, sentence)


def by_line(
    tokens: Iterable[TokenSurprisal], line_ending: re.Pattern[str] = ANY_LINE_ENDING
) -> Iterator[Segment]:
    """The lines of a text that tokens begin in, each under its number, its line break left out.

    A line break that is a token counts for the line it ends. `line_ending` is as the tokens'.
    """
    for line, group in groupby(tokens, key=lambda token: token.line):
        whole = segment(group, line)
        ending = line_ending.search(whole.text)
        text = whole.text[: ending.start()] if ending else whole.text
        yield replace(whole, text=text, char_end=whole.char_start + len(text))


def segment(tokens: Iterable[TokenSurprisal], place: int) -> Segment:
    """One or more tokens as a whole."""
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
    """A word with its end, without the white space around it.

    Args:
        tokens: the white space before the word, and the word.
        place: in the sentence.
        counted: nats of the first token that the word before has counted, if any.
        ending: nats of the end after the last token, if it counts.
    """
    whole = corrected(segment(tokens, place), counted, ending)
    text = whole.text.strip(WHITE_SPACE)
    start = whole.char_start + len(whole.text) - len(whole.text.lstrip(WHITE_SPACE))
    return replace(whole, text=text, char_start=start, char_end=start + len(text))


def sentence_end(tokens: Sequence[TokenSurprisal], place: int, counted: float | None) -> Segment:
    """What is left of a sentence after its words: white space and `<stop>`."""
    return replace(corrected(segment(tokens, place), counted, None), text=STOP, is_stop=True)


def corrected(whole: Segment, counted: float | None, ending: float | None) -> Segment:
    """The same without what was counted before and with the end; no longer one token alone."""
    if counted is None and ending is None:
        return whole
    nats = whole.nats - (counted or 0.0) + (ending or 0.0)
    return replace(whole, nats=nats, entropy=None, rank=None)


def known_ending(token: TokenSurprisal) -> float | None:
    """Nats of the end that this token makes, if the model knows that it makes one."""
    assert token.ending is not None
    return None if token.is_other else token.ending


def word_with_space(token: TokenSurprisal) -> str:
    """A token of a word model, after a space if white space parts it from the one before."""
    parted = any(character in WHITE_SPACE for character in token.skipped)
    return " " * parted + token.text


def symbol_speller(tokenizer: Tokenizer) -> Callable[[TokenSurprisal], str]:
    """A function from a token to the text it writes, whole characters or not."""
    spelt = [tokenizer.decode([token]) for token in range(tokenizer.vocab_size)]

    def spell(token: TokenSurprisal) -> str:
        return token.text if token.is_other else spelt[token.token]

    return spell
