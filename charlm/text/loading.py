"""tokenizer.json back to a tokenizer."""

from pathlib import Path
from typing import Any

import tokenizers

from charlm.errors import TokenizerError
from charlm.text.bpe import BpeTokenizer
from charlm.text.chars import CharTokenizer
from charlm.text.octets import ByteTokenizer
from charlm.text.tokenizer import OTHER, START, STOP, Tokenizer
from charlm.text.words import WordTokenizer
from charlm.untrusted import MAX_TOKENIZER_BYTES, parse_json, read_regular


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer.json that charlm wrote.

    Raises:
        TokenizerError: there is no such file, it is damaged, or another program wrote it.
    """
    try:
        content = read_regular(path, MAX_TOKENIZER_BYTES).decode()
    except FileNotFoundError:
        raise TokenizerError(f"{path} does not exist; make it with `charlm vocab build`.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise TokenizerError(f"{path} cannot be read as a tokenizer: {error}.") from error
    return parse_tokenizer(content, str(path))


def parse_tokenizer(content: str, name: str) -> Tokenizer:
    """The tokenizer that a tokenizer.json holds; `name` is what messages call it.

    Raises:
        TokenizerError: it is damaged, or another program wrote it.
    """
    try:
        description = parse_json(content)
        backend = tokenizers.Tokenizer.from_str(content)
    except Exception as error:  # the library raises nothing narrower
        raise TokenizerError(f"{name} is damaged or not a tokenizer.json: {error}.") from error
    size = backend.get_vocab_size()
    last = [backend.id_to_token(i) for i in range(max(size - 3, 0), size)]
    if last != [START, STOP, OTHER]:
        raise TokenizerError(
            f"{name} was not written by charlm: its last three tokens should be "
            f"{START}, {STOP} and {OTHER}."
        )
    kind = level_of(description)
    try:
        return kind(backend)
    except KeyError as error:
        raise TokenizerError(f"{name} is damaged: {error} stands for no byte.") from error


def level_of(description: dict[str, Any]) -> type[Tokenizer]:
    """Tell the level from the parts that only this level has."""
    model, splitter = description["model"], description["pre_tokenizer"] or {}
    if model["type"] == "BPE":
        return BpeTokenizer if splitter.get("use_regex", True) else ByteTokenizer
    if splitter.get("type") == "Split" and splitter.get("pattern") == {"String": ""}:
        return CharTokenizer
    return WordTokenizer
