"""Spelling of tokens in ARPA files: special words, field separators and checks."""

import re
from collections.abc import Sequence

from charlm.errors import TextError

START = "<s>"
UNKNOWN = "<unk>"
LOG10_ZERO = -99.0  # SRILM's value for probability 0

# ASCII white space separates fields. U+00A0 and other Unicode spaces may be part of a word.
split_fields = re.compile(r"[^ \t\r\n]+").findall


def check_words(words: Sequence[str]) -> None:
    """Check that every word can be written to an ARPA file and read back unchanged.

    Args:
        words: word of each token id, with `<start>` as `<s>`, `<stop>` as `</s>` and `<other>` as
            `<unk>`.

    Raises:
        TextError: a word is empty, contains white space or a null character, or stands for two
            tokens.
    """
    assert START in words
    seen = set()
    for word in words:
        if split_fields(word) != [word] or "\0" in word:
            raise TextError(
                f"{word!r} cannot be a word of an ARPA file, where white space divides words; "
                "give it another name."
            )
        if word in seen:
            raise TextError(
                f"two tokens of the vocabulary are written {word!r}, and an ARPA file cannot tell "
                "them apart; give one of them another name."
            )
        seen.add(word)
