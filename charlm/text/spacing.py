"""Scripts written without spaces: spacing of Han and kana, and a note on the others."""

import re
from collections.abc import Iterable

CJK = re.compile(
    r"[\u2e80-\u2fd5\u3005\u3007\u3021-\u3029\u3038-\u303b\u3041-\u3096\u309d-\u309f"
    r"\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u32d0-\u32fe\u3300-\u3357\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\uff66-\uff9f\U00016fe2-\U00016ff6\U0001aff0-\U0001b16f\U0001f200\U00020000-\U000323af]"
)
# Full-width punctuation includes its own space.
WIDE = re.compile(
    r"[\u3001-\u3004\u3008-\u3020\u3030\u303d\u30a0\u30fb"
    r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]"
)
# Places where a token of the word tokenizer always begins: before Han and kana, most punctuation,
# and emoji that do not follow a joiner.
TOKEN_START = re.compile(
    rf"(?={CJK.pattern})|(?=[!\"#$%&()*+\-/:;<=>?@\[\\\]^`{{|}}~])|(?<!\d)(?=[.,])|(?<!\w)(?=['’])"  # noqa: RUF001
    r"|(?<!\u200d)(?=[\U0001f300-\U0001f3fa\U0001f400-\U0001faff])"
)
MARKS_OF_BOTH = frozenset("“”‘’…")  # noqa: RUF001  # used with Latin letters and with Han

UNSPACED = {
    "Thai": re.compile(r"[\u0e01-\u0e5b]"),
    "Lao": re.compile(r"[\u0e81-\u0edf]"),
    "Burmese": re.compile(r"[\u1000-\u109f\ua9e0-\ua9fe\uaa60-\uaa7f]"),
    "Khmer": re.compile(r"[\u1780-\u17ff]"),
}
SAMPLE_CHARS = 1 << 16
NOTED_SHARE = 0.1  # of the characters are in one script


def needs_no_space(left: str, right: str) -> bool:
    """Return whether two words need no space between them because of Han, kana or wide marks."""
    if WIDE.match(left) or WIDE.match(right):
        return True
    before, after = bool(CJK.match(left)), bool(CJK.match(right))
    if before and after:
        return True
    other = right if before else left
    return (before or after) and (other[:1].isdigit() or other in MARKS_OF_BOTH)


def unspaced_scripts(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the scripts without spaces between words that exceed a tenth of the characters.

    Only the first 65,536 characters of `texts` are counted.
    """
    sample, left = [], SAMPLE_CHARS
    for text in texts:
        sample.append(text[:left])
        left -= len(sample[-1])
        if left <= 0:
            break
    text = "".join(sample)
    counts = {name: len(pattern.findall(text)) for name, pattern in UNSPACED.items()}
    return tuple(name for name, count in counts.items() if count > NOTED_SHARE * len(text))


def unspaced_note(texts: Iterable[str]) -> str | None:
    """Return a note if `texts` are in scripts without spaces between words, otherwise None."""
    scripts = unspaced_scripts(texts)
    if not scripts:
        return None
    return (
        f"{' and '.join(scripts)} puts no spaces between words, so --level word takes a whole "
        "phrase for a word; use --level bpe or --level char, or separate the words by spaces."
    )
