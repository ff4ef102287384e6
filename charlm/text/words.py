"""Word tokenizer: the N most frequent words; all others are `<other>`."""

import json
import re
from collections.abc import Iterable, Sequence
from copy import copy
from functools import cached_property

import numpy as np
import tokenizers
from tokenizers import Regex, models, normalizers, pre_tokenizers, trainers

from charlm.text.spacing import needs_no_space
from charlm.text.tokenizer import (
    OTHER,
    START,
    STOP,
    Spans,
    TokenIds,
    Tokenizer,
    by_frequency,
    frame_template,
    symbol_table,
)

# Han and kana are written without spaces between words, so each character is a token. The last
# four characters belong to no script: the long vowel marks and the voicing marks of half-width
# kana.
CJK = r"[\p{Han}\p{Hiragana}\p{Katakana}\u30fc\uff70\uff9e\uff9f]"
LETTER = rf"[\w&&[^{CJK[1:-1]}]]"
JOINER = r"[\u00ad\u200c\u200d\u2060]"  # invisible inside words: soft hyphen and joiners
EMOJI = r"\p{Extended_Pictographic}[\p{M}\x{1f3fb}-\x{1f3ff}\x{e0020}-\x{e007f}]*"
# Numbers (3.14, 1,000), words ("don't" is one word), Han and kana, emoji sequences, flags, and
# single punctuation marks. The syntax is Oniguruma's, as in tokenizer.json.
WORD = "|".join(
    [
        rf"\d+(?:[.,]\d+)*(?!{LETTER})",
        rf"{LETTER}+(?:['’]{LETTER}+|{JOINER}+{LETTER}*)*",  # noqa: RUF001
        rf"{CJK}\p{{M}}*",
        rf"{EMOJI}(?:\u200d{EMOJI})*",
        r"[\x{1f1e6}-\x{1f1ff}]{2}",
        r"[^\w\s]\p{M}*",
    ]
)
# Runs without white space as `tokenizers` defines it; Python's \s includes four more characters.
RUN = re.compile(r"[\S\x1c-\x1f]+")
DEFAULT_MAX_WORDS = 10_000

NO_SPACE_BEFORE = frozenset(".,;:!?)]}%…’”،؛؟۔।॥")  # noqa: RUF001
NO_SPACE_AFTER = frozenset("([{‘“")  # noqa: RUF001


class WordTokenizer(Tokenizer):
    """Tokenizer for words, numbers and punctuation marks; each Han or kana character is a token.

    White space is not a token. `decode` writes one space between words, but none where English
    prose has none and none between Han and kana. A pretokenized text, such as the distributed
    Penn Treebank and WikiText, is split at white space only. Its `<unk>` is encoded as `<other>`,
    its `<eos>` and `</s>` as `<stop>`.
    """

    level = "word"

    @classmethod
    def build(
        cls,
        texts: Iterable[str],
        vocab_size: int | None = None,
        *,
        lowercase: bool = False,
        pretokenized: bool = False,
    ) -> "WordTokenizer":
        """Build a vocabulary of the `vocab_size` most frequent words of `texts`.

        The default is the words that occur at least twice, and at most 10,000 of them. A model
        that never sees `<other>` in training cannot predict it for unknown words. `texts` is
        iterated twice.
        """
        counts = count_words(word_splitter(lowercase, pretokenized), texts)
        if vocab_size is None:
            repeated = sum(count > 1 for count in counts.values())
            vocab_size = min(DEFAULT_MAX_WORDS, max(repeated, 1))
        symbols = by_frequency(counts, vocab_size)
        return cls(word_backend(symbols, lowercase=lowercase, pretokenized=pretokenized))

    @property
    def pretokenized(self) -> bool:
        return isinstance(self.backend.pre_tokenizer, pre_tokenizers.WhitespaceSplit)

    @cached_property
    def splits_cjk(self) -> bool:
        """Return whether each Han or kana character is a token.

        Tokenizers of earlier versions encoded a run of them as one word.
        """
        splitter = json.loads(self.backend.to_str())["pre_tokenizer"] or {}
        return r"\p{Han}" in str(splitter.get("pattern"))

    def encode_batch(self, texts: Sequence[str]) -> list[TokenIds]:
        encoded: list[TokenIds] = []
        for batch in batches(texts):  # an encoding takes about 300 bytes per token
            encodings = self.backend.encode_batch_fast(batch, add_special_tokens=False)
            encoded += [np.array(encoding.ids, dtype=np.uint32) for encoding in encodings]
        return encoded

    def encode_spans(self, texts: Sequence[str]) -> list[tuple[TokenIds, Spans]]:
        if self.pretokenized:  # the backend's offsets are wrong for replaced marks such as `<unk>`
            runs = ([match.span() for match in RUN.finditer(text)] for text in texts)
            encoded = self.encode_batch(texts)
            return [(ids, as_spans(spans)) for ids, spans in zip(encoded, runs, strict=True)]
        encodings = self.backend.encode_batch(list(texts), add_special_tokens=False)
        return [(np.array(e.ids, dtype=np.uint32), as_spans(e.offsets)) for e in encodings]

    def decoder(self) -> "WordDecoder":
        return WordDecoder(self)

    def decoder_after(self, text: str) -> "WordDecoder":
        """Return a decoder for the tokens that follow `text`.

        If `text` ends in white space, no space is written before the next word.
        """
        decoder = super().decoder_after(text)
        assert isinstance(decoder, WordDecoder)
        if text[-1:].isspace():
            decoder.forget_gap()
        return decoder

    def unknown(self, text: str) -> list[str]:
        ids, spans = self.encode_spans([text])[0]
        words = [text[a:b] for a, b in spans[ids == self.other_id].tolist()]
        return list(dict.fromkeys(words))


class WordDecoder:
    """Decoder that writes words with the spacing of prose and a line break between frames.

    Straight quotes alternate between opening and closing. A pretokenized text has a space between
    all words, so that it can be encoded again.
    """

    def __init__(self, tokenizer: WordTokenizer) -> None:
        self._tokenizer = tokenizer
        self._prose = not tokenizer.pretokenized
        self._gap = ""  # written before the next word, unless that word takes no space before it
        self._quoted = False
        self._cjk = tokenizer.splits_cjk
        self._last = ""  # the previous word

    def push(self, token: int) -> str:
        if token == self._tokenizer.start_id:
            return ""
        if token == self._tokenizer.stop_id:
            self._gap, self._quoted = "\n", False
            return ""
        word = self._tokenizer.token(token)
        quote = self._prose and word == '"'
        refuses_space = self._prose and (word in NO_SPACE_BEFORE or (quote and self._quoted))
        refuses_space = refuses_space or (self._cjk and needs_no_space(self._last, word))
        gap = "" if self._gap == " " and refuses_space else self._gap
        self._quoted ^= quote
        opens = self._prose and (word in NO_SPACE_AFTER or (quote and self._quoted))
        self._gap, self._last = "" if opens else " ", word
        return gap + word

    def forget_gap(self) -> None:
        """Write no space before the next word."""
        self._gap = ""

    def finish(self) -> str:
        return ""

    def copy(self) -> "WordDecoder":
        return copy(self)


def as_spans(pairs: Sequence[tuple[int, int]]) -> Spans:
    """Return pairs of start and end as an array: (num_pairs, 2)."""
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def word_splitter(lowercase: bool, pretokenized: bool, pattern: str = WORD) -> tokenizers.Tokenizer:
    """Return a backend that splits text into words, with an empty vocabulary."""
    backend = tokenizers.Tokenizer(models.WordLevel({OTHER: 0}, unk_token=OTHER))
    steps: list[normalizers.Normalizer] = [normalizers.Lowercase()] if lowercase else []
    if pretokenized:
        # A literal <start> must not be encoded as a frame start; it becomes <other>.
        steps += [
            normalizers.Replace(Regex(r"(?<!\S)(?:<unk>|<start>)(?!\S)"), OTHER),
            normalizers.Replace(Regex(r"(?<!\S)(?:<eos>|</s>)(?!\S)"), STOP),
        ]
        backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    else:
        backend.pre_tokenizer = pre_tokenizers.Split(
            Regex(pattern), behavior="removed", invert=True
        )
    if steps:
        backend.normalizer = normalizers.Sequence(steps)
    return backend


def word_backend(
    symbols: Sequence[str], *, lowercase: bool, pretokenized: bool, pattern: str = WORD
) -> tokenizers.Tokenizer:
    """Return a backend that splits text into words, with `symbols` as its vocabulary."""
    vocab = symbol_table(symbols)
    backend = word_splitter(lowercase, pretokenized, pattern)
    backend.model = models.WordLevel(vocab, unk_token=OTHER)
    backend.post_processor = frame_template(vocab)
    return backend


def count_words(backend: tokenizers.Tokenizer, texts: Iterable[str]) -> dict[str, int]:
    """Count the occurrences of each word, in order of first appearance.

    Makes two passes over `texts`, on all cores. In the first, the trainer collects the distinct
    words in `backend`. In the second, the texts are encoded with this vocabulary and counted.
    """
    trainer = trainers.WordLevelTrainer(
        vocab_size=2**31, min_frequency=0, special_tokens=[], show_progress=False
    )
    backend.train_from_iterator(texts, trainer=trainer)
    counts = np.zeros(backend.get_vocab_size(), dtype=np.int64)
    order: dict[int, None] = {}
    for batch in batches(texts):
        encodings = backend.encode_batch_fast(batch, add_special_tokens=False)
        ids = np.array([i for encoding in encodings for i in encoding.ids], dtype=np.int64)
        found, first = np.unique(ids, return_index=True)
        order |= dict.fromkeys(found[first.argsort()].tolist())
        counts += np.bincount(ids, minlength=len(counts))
    words = {str(backend.id_to_token(i)): int(counts[i]) for i in order}
    return {word: count for word, count in words.items() if word not in (START, STOP, OTHER)}


def batches(texts: Iterable[str], size: int = 1 << 19) -> Iterable[list[str]]:
    """Yield lists of texts of about `size` characters in total, enough to keep all cores busy."""
    batch: list[str] = []
    length = 0
    for text in texts:
        batch.append(text)
        length += len(text)
        if length >= size:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch
