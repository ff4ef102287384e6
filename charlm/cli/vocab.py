"""The `charlm vocab` commands: build, show, encode and decode."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from charlm.cli import options
from charlm.cli.suggesting import SuggestingGroup
from charlm.errors import ConfigError
from charlm.location import command_line, is_checkpoint_name, is_text_name
from charlm.untrusted import (
    MAX_TOKENIZER_BYTES,
    MAX_TOKENIZER_VALUES,
    parse_json,
    read_regular,
)

if TYPE_CHECKING:
    from charlm.data import Corpus, Frame
    from charlm.text import Tokenizer


app = typer.Typer(
    cls=SuggestingGroup, help="Build and show vocabularies; convert text to ids and back."
)

Corpora = Annotated[list[str], typer.Argument(help="Texts, as for `charlm train`.")]
TokenizerPath = Annotated[
    Path | None,
    typer.Option(
        "--tokenizer",
        "-t",
        help="A tokenizer.json or a checkpoint. Default: the newest checkpoint's.",
    ),
]
CountingTokenizer = Annotated[
    Path | None,
    typer.Option(
        "--tokenizer",
        "-t",
        help="A tokenizer.json or a checkpoint. Default: one built from the texts.",
    ),
]
EncodedFrame = Annotated[
    Literal["line", "paragraph", "document"] | None,
    typer.Option(
        help="Unit of text between <start> and <stop>. Default: lines for words, else documents.",
    ),
]


@app.command()
def build(
    corpus: Corpora,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")],
    level: options.Level = None,
    vocab_size: options.VocabSize = None,
    lowercase: options.Lowercase = None,
    pretokenized: options.Pretokenized = None,
    split: Annotated[
        str,
        typer.Option(
            help="Percentages of the corpus for training/validation/test; only the training part "
            "is counted."
        ),
    ] = "100/0/0",
) -> None:
    """Build a vocabulary from texts and write it as a tokenizer.json."""
    from charlm.display.console import note_console
    from charlm.storage import make_folder

    _, tokenizer = read_and_build(corpus, level, vocab_size, lowercase, pretokenized, split)
    make_folder(output.parent)
    tokenizer.save(output)
    note_console().print(
        f"{tokenizer.num_symbols:,} symbols + <start> <stop> <other> = {tokenizer.vocab_size:,} "
        f"tokens in {output}",
        markup=False,
    )


@app.command()
def show(
    corpus: Corpora,
    tokenizer: CountingTokenizer = None,
    level: options.Level = None,
    vocab_size: options.VocabSize = None,
    lowercase: options.Lowercase = None,
    pretokenized: options.Pretokenized = None,
    top: Annotated[int, typer.Option(min=1, help="Number of tokens to list.")] = 20,
    as_json: options.Json = False,
) -> None:
    """Show the tokens of texts by frequency, and the share of the text that the first N cover.

    The vocabulary is built from the texts, or taken from --tokenizer. Of a tokenizer.json or a
    checkpoint in place of a text, the tokens are shown in the order of their ids.
    """
    from charlm.data import CorpusConfig, count_tokens, read_corpus, user_paths
    from charlm.display.tables import show_vocabulary
    from charlm.text import TextConfig

    settings = (level, vocab_size, lowercase, pretokenized)
    if (named := tokenizer_as_text(corpus)) is not None:
        if len(corpus) > 1 or tokenizer is not None or any(s is not None for s in settings):
            texts = [name for name in corpus if Path(name) != named] or ["TEXT"]
            alone = command_line("vocab", "show", named)
            counted = command_line("vocab", "show", *texts, "--tokenizer", named)
            raise ConfigError(
                f"{named} is a vocabulary and not a text: `{alone}` shows its tokens, `{counted}` "
                "counts them in a text."
            )
        show_tokenizer(find_tokenizer(named), top, as_json)
        return
    if tokenizer is None:
        read, known = read_and_build(corpus, *settings, "100/0/0")
    elif any(setting is not None for setting in settings):
        raise ConfigError("--tokenizer fixes level and size; leave out the other flags.")
    else:
        known = find_tokenizer(tokenizer)
        config = CorpusConfig(paths=user_paths(corpus), split=(100, 0, 0))
        read = read_corpus(config, TextConfig(level=known.level, pretokenized=known.pretokenized))
    counts = count_tokens(read.parts["train"], known)
    rows = [
        (rank, known.token(int(index)), int(count))
        for rank, (index, count) in enumerate(zip(counts.ids, counts.counts, strict=True), 1)
    ]
    if as_json:
        content = {
            "num_tokens": counts.num_tokens,
            "vocab_size": known.vocab_size,
            "tokens": [{"token": token, "count": count} for _, token, count in rows[:top]],
            "coverage": [{"size": n, "share": share} for n, share in counts.coverage_steps()],
        }
        print(json.dumps(content, ensure_ascii=False, indent=2))
    else:
        show_vocabulary(rows[:top], counts.num_tokens, counts.coverage_steps())


def tokenizer_as_text(names: list[str]) -> Path | None:
    """Return the first name that is a tokenizer.json or a checkpoint and not a text, or None."""
    for name in names:
        path = Path(name)
        if is_checkpoint_name(name) and not is_text_name(name):
            return path
        if path.suffix == ".json" and path.is_file() and holds_tokenizer(path):
            return path
    return None


def holds_tokenizer(path: Path) -> bool:
    """Return whether a JSON file has the structure of a tokenizer.json of any program.

    Return False for a file that cannot be read or parsed.
    """
    try:
        content = parse_json(read_regular(path, MAX_TOKENIZER_BYTES), MAX_TOKENIZER_VALUES)
    except (OSError, ValueError):  # not JSON, or too large for a tokenizer.json
        return False
    return isinstance(content, dict) and {"model", "added_tokens"} <= content.keys()


def show_tokenizer(tokenizer: "Tokenizer", top: int, as_json: bool) -> None:
    """Print the first `top` tokens of a vocabulary in the order of their ids."""
    from charlm.display.tables import show_ids

    rows = [(index, tokenizer.token(index)) for index in range(min(top, tokenizer.vocab_size))]
    if as_json:
        tokens = [{"id": index, "token": token} for index, token in rows]
        content = {"vocab_size": tokenizer.vocab_size, "tokens": tokens}
        print(json.dumps(content, ensure_ascii=False, indent=2))
    else:
        show_ids(rows, f"{tokenizer.level}, {tokenizer.vocab_size:,} tokens")


@app.command()
def encode(
    texts: Annotated[
        list[str] | None,
        typer.Argument(help="Texts to encode, one per argument. Default: read stdin."),
    ] = None,
    tokenizer: TokenizerPath = None,
    frame: EncodedFrame = None,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Show each token next to its id.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Print the token ids of a text, one frame per line: <start>, the tokens, <stop>."""
    from charlm.data import STDIN, Framing, UserSource, frame_pieces, join_frames
    from charlm.display.tables import show_tokens

    known = find_tokenizer(tokenizer)
    default: Frame = "line" if known.level == "word" else "document"
    framing = Framing(frame=frame or default, pretokenized=known.pretokenized)
    stdin = UserSource(STDIN, any_bytes=known.level == "byte")
    if tokens and as_json:
        raise ConfigError("--json shows the tokens already; leave out --tokens.")
    for text in texts or ():
        options.check_utf8(text, known.level)
    ids: list[int] = []
    for source in [[text] for text in texts] if texts else [stdin.texts()]:
        for piece in frame_pieces(source, framing):
            ids += join_frames([piece], known).tolist()
            if not (as_json or tokens):  # a long frame is printed as it is read
                print(*ids, end="\n" if piece.closes else " ")
                ids = []
            elif piece.closes:
                named = [(i, known.token(i)) for i in ids]
                if as_json:
                    print(json.dumps({"ids": ids, "tokens": [token for _, token in named]}))
                else:
                    show_tokens(named)
                ids = []


@app.command()
def decode(
    ids: Annotated[
        list[str] | None, typer.Argument(help="Token ids to decode. Default: lines of stdin.")
    ] = None,
    tokenizer: TokenizerPath = None,
) -> None:
    """Print the text of token ids."""
    from charlm.data import standard_input

    known = find_tokenizer(tokenizer)
    lines = [" ".join(ids).encode()] if ids else standard_input()
    for line in lines:
        print(known.decode(parse_ids(line.decode("utf-8", "backslashreplace"), known)))


def parse_ids(line: str, tokenizer: "Tokenizer") -> list[int]:
    """Parse token ids separated by white space or commas.

    Raises:
        ConfigError: a word is not the id of a token.
    """
    ids = []
    for word in line.replace(",", " ").split():
        if not (word.isascii() and word.isdigit() and int(word) < tokenizer.vocab_size):
            last = tokenizer.vocab_size - 1
            raise ConfigError(f"ids are whole numbers from 0 to {last:,}; {word!r} is not.")
        ids.append(int(word))
    return ids


def read_and_build(
    corpus: list[str],
    level: options.LevelName | None,
    vocab_size: int | None,
    lowercase: bool | None,
    pretokenized: bool | None,
    split: str,
) -> "tuple[Corpus, Tokenizer]":
    """Read texts and build the vocabulary of their training split.

    Print a note if a word-level vocabulary does not suit the text.

    Raises:
        ConfigError: a setting is malformed or out of range.
        TextError: a text cannot be read.
    """
    from charlm.data import CorpusConfig, parse_split, read_corpus, user_paths
    from charlm.display.console import show_note
    from charlm.text import TextConfig, build_tokenizer, unspaced_note

    text = TextConfig(
        level=level or "char",
        vocab_size=vocab_size,
        lowercase=bool(lowercase),
        pretokenized=bool(pretokenized),
    )
    read = read_corpus(CorpusConfig(paths=user_paths(corpus), split=parse_split(split)), text)
    if text.level == "word" and not text.pretokenized:
        note = unspaced_note(read.parts["train"])
        if note is not None:
            show_note(note)
    return read, build_tokenizer(text, read.parts["train"])


def find_tokenizer(path: Path | None) -> "Tokenizer":
    """Load a tokenizer.json, or the tokenizer of a checkpoint, by default the newest.

    Raises:
        CheckpointError: there is no such checkpoint.
        TokenizerError: the tokenizer.json is damaged or was not written by charlm.
    """
    from charlm.location import TOKENIZER, find_checkpoint
    from charlm.text import load_tokenizer

    if path is not None and not path.is_dir() and path.suffix == ".json":
        return load_tokenizer(path)
    return load_tokenizer(find_checkpoint(path) / TOKENIZER)
