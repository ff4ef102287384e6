"""How tokens are spelled in ARPA files: one word by token id, and what a word may be."""

import re
from collections.abc import Sequence

from charlm.errors import TextError

START = "<s>"
UNKNOWN = "<unk>"
LOG10_ZERO = -99.0  # what SRILM writes for probability 0

# The white space that divides fields. Not Unicode's: U+00A0 and its like may be part of a word.
split_fields = re.compile(r"[^ \t\r\n]+").findall


def check_words(words: Sequence[str]) -> None:
    """Make sure that every word will be read as it was written.

    Args:
        words: by token id, `<start>` as `<s>`, `<stop>` as `</s>`, `<other>` as `<unk>`.

    Raises:
        TextError: one is empty, holds white space, or stands for two tokens.
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
