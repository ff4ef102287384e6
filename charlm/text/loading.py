"""Loading a tokenizer from a tokenizer.json file."""

import json
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import models

from charlm.errors import TokenizerError
from charlm.settings import quote, reason, shown
from charlm.text.bpe import BpeTokenizer
from charlm.text.chars import CharTokenizer, char_backend
from charlm.text.octets import ByteTokenizer, byte_level_backend, byte_symbols
from charlm.text.tokenizer import OTHER, START, STOP, Tokenizer
from charlm.text.words import WORD, WordTokenizer, word_backend
from charlm.untrusted import MAX_TOKENIZER_BYTES, MAX_TOKENIZER_VALUES, parse_json, read_regular

# Word pattern of earlier versions; a model keeps the pattern it was trained with.
FIRST_WORD = r"\d+(?:[.,]\d+)*(?!\w)|\w+(?:['’]\w+)*|[^\w\s]"  # noqa: RUF001
WORD_PATTERNS = (WORD, FIRST_WORD)
SPARE_VALUES = 10_000  # values in a tokenizer.json that are not symbols or merges


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer.json that charlm wrote.

    Raises:
        TokenizerError: the file is missing, unreadable or damaged, or was not written by charlm.
    """
    try:
        content = read_regular(path, MAX_TOKENIZER_BYTES).decode()
    except FileNotFoundError:
        raise TokenizerError(f"{path} does not exist; make it with `charlm vocab build`.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{path} cannot be read as a tokenizer: {error}.") from error
    return parse_tokenizer(content, str(path))


def parse_tokenizer(content: str, name: str, vocab_size: int | None = None) -> Tokenizer:
    """Return the tokenizer described by the content of a tokenizer.json.

    Only the symbols, the merges and the level are read from the file, and the tokenizer is built
    from them. Everything else in the file must equal what charlm writes. It is never passed to the
    `tokenizers` library, which accepts any padding length and can run out of memory. Content with
    more values than a tokenizer of this size can have is rejected before it is parsed, and a
    vocabulary of the wrong size before the tokenizer is built.

    Args:
        content: JSON text.
        name: file name used in error messages.
        vocab_size: vocabulary size of the model, `<start>`, `<stop>` and `<other>` included;
            None accepts any size.

    Raises:
        TokenizerError: the content is damaged, was not written by charlm, or has another
            vocabulary size.
    """
    most = MAX_TOKENIZER_VALUES
    if vocab_size is not None:
        most = min(most, SPARE_VALUES + 5 * vocab_size)  # a symbol and its merge take five values
    try:
        description = parse_json(content, most)
    except ValueError as error:
        why = reason(error)
        raise TokenizerError(f"{name} is damaged or not a tokenizer.json: {why}.") from error
    model = description.get("model") if isinstance(description, dict) else None
    if not isinstance(model, dict) or "type" not in model or "vocab" not in model:
        raise TokenizerError(f"{name} is damaged or not a tokenizer.json: it has no vocabulary.")
    vocab = model.pop("vocab")
    if vocab_size is not None and isinstance(vocab, dict) and len(vocab) != vocab_size:
        raise TokenizerError(
            f"{name} has {len(vocab):,} tokens, but the model beside it knows {vocab_size:,}; "
            "restore the pair."
        )
    symbols = read_symbols(vocab, name)
    del content, vocab  # large ones take more memory than the tokenizer
    kind = level_of(description)
    try:
        backend = rebuild(kind, symbols, description)
        tokenizer = kind(backend)
    except KeyError as error:
        raise TokenizerError(
            f"{name} is damaged: the symbol {error} of a byte is missing or not in its place."
        ) from error
    except Exception as error:  # the library raises no narrower type
        raise TokenizerError(f"{name} is damaged: {reason(error)}.") from error
    if (part := difference(description, describe(backend))) is not None:
        raise TokenizerError(
            f"{name} was not written by charlm: {part} differs from what charlm writes."
        )
    return tokenizer


def read_symbols(vocab: Any, name: str) -> list[str]:
    """Return the symbols in the order of their ids, without the three special tokens.

    Raises:
        TokenizerError: the vocabulary is not a table, an id is missing, repeated or out of range,
            or the last three tokens are not `<start>`, `<stop>` and `<other>`.
    """
    if not isinstance(vocab, dict):
        raise TokenizerError(f"{name} was not written by charlm: its vocabulary is no table.")
    by_id: dict[int, str] = {}
    for symbol, index in vocab.items():
        if type(index) is not int or not 0 <= index < len(vocab) or index in by_id:
            raise TokenizerError(
                f"{name} is damaged: {shown(symbol)} has the id {shown(index)}, and ids are the "
                f"numbers below {len(vocab):,}, each once."
            )
        by_id[index] = symbol
    symbols = [by_id[index] for index in range(len(by_id))]
    if symbols[-3:] != [START, STOP, OTHER] or len(symbols) < 4:
        raise TokenizerError(
            f"{name} was not written by charlm: its last three tokens should be "
            f"{START}, {STOP} and {OTHER}."
        )
    return symbols[:-3]


def rebuild(
    kind: type[Tokenizer], symbols: list[str], description: dict[str, Any]
) -> tokenizers.Tokenizer:
    """Return the backend of a tokenizer class for the given symbols.

    Merges are removed from `description`.

    Raises:
        KeyError: a byte has no symbol.
        ValueError: the symbols or merges are not valid at this level, or a merge is not a pair of
            strings.
    """
    if kind is CharTokenizer:
        if any(len(symbol) != 1 for symbol in symbols):
            raise ValueError("a symbol is not one character")
        return char_backend(symbols)
    if kind is WordTokenizer:
        splitter = description.get("pre_tokenizer")
        patterns = {pattern: {"Regex": pattern} for pattern in WORD_PATTERNS}
        found = splitter.get("pattern") if isinstance(splitter, dict) else None
        return word_backend(
            symbols,
            lowercase="Lowercase" in json.dumps(description.get("normalizer")),
            pretokenized=isinstance(splitter, dict) and splitter.get("type") == "WhitespaceSplit",
            # Other patterns are not used: a malicious one could take exponential time.
            pattern=next((p for p, written in patterns.items() if written == found), WORD),
        )
    if missing := set(byte_symbols()) - set(symbols):
        raise KeyError(min(missing))
    if kind is ByteTokenizer and len(symbols) > 256:
        raise ValueError("it has more symbols than there are bytes")
    merges = read_merges(description["model"].pop("merges", None))
    if kind is ByteTokenizer and merges:
        raise ValueError("single bytes are never merged")
    return byte_level_backend(symbols, merges, words=kind is BpeTokenizer)


def read_merges(merges: Any) -> list[tuple[str, str]]:
    """Return the pairs of symbols that byte-pair encoding merges.

    Older files store each pair as one string with a space between the symbols.

    Raises:
        ValueError: `merges` is not a list, or a merge is not a pair of strings.
    """
    if not isinstance(merges, list):
        raise ValueError("its merges are no list")
    pairs = []
    for merge in merges:
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if not (isinstance(pair, list) and len(pair) == 2 and all(type(p) is str for p in pair)):
            raise ValueError(f"a merge must be a pair of texts, not {shown(merge)}")
        pairs.append((pair[0], pair[1]))
    return pairs


def describe(backend: tokenizers.Tokenizer) -> dict[str, Any]:
    """Return the tokenizer.json description of a backend, without its symbols and merges."""
    model = backend.model
    is_bpe = isinstance(model, models.BPE)
    backend.model = models.BPE() if is_bpe else models.WordLevel(unk_token=model.unk_token)
    described: dict[str, Any] = json.loads(backend.to_str())
    backend.model = model
    return described


def difference(found: dict[str, Any], written: dict[str, Any]) -> str | None:
    """Return the name of the first part that differs from what charlm writes, or None.

    A part that is empty, false or null may also be missing, since versions of the library differ
    in which of these they write.
    """
    parts = {
        **{name: (found.get(name), written.get(name)) for name in found.keys() | written.keys()},
        **{
            f"model.{name}": (found["model"].get(name), written["model"].get(name))
            for name in found["model"].keys() | written["model"].keys()
        },
    }
    read = {"version", "model", "model.vocab", "model.merges"}  # checked separately, or ignored
    for name in sorted(parts.keys() - read):
        ours, theirs = parts[name]
        if (ours or theirs) and ours != theirs:
            return quote(name)
    return None


def level_of(description: dict[str, Any]) -> type[Tokenizer]:
    """Return the tokenizer class that a tokenizer.json describes."""
    splitter = description.get("pre_tokenizer")
    if description["model"]["type"] == "BPE":
        words = isinstance(splitter, dict) and splitter.get("use_regex", True)
        return BpeTokenizer if words else ByteTokenizer
    if isinstance(splitter, dict) and splitter.get("pattern") == {"String": ""}:
        return CharTokenizer
    return WordTokenizer
