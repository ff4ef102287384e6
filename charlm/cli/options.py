"""Arguments and options that several commands have."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Checkpoint = Annotated[
    Path | None,
    typer.Argument(help="Folder that `charlm train` wrote. Default: the newest in checkpoints/."),
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Same seed, same result.")]

LevelName = Literal["char", "word", "byte", "bpe"]
Level = Annotated[
    LevelName | None,
    typer.Option(help="What a token is. Default: char.", rich_help_panel="Text"),
]
VocabSize = Annotated[
    int | None,
    typer.Option(
        help="Symbols to keep, the most frequent. Default: all characters, up to 10,000 words "
        "that occur twice, 4,096 BPE tokens.",
        rich_help_panel="Text",
    ),
]
Lowercase = Annotated[
    bool | None,
    typer.Option("--lowercase", help="Fold case (words).", rich_help_panel="Text"),
]
Pretokenized = Annotated[
    bool | None,
    typer.Option(
        "--pretokenized",
        help="Words are split already, with <unk> and <eos> as in PTB and WikiText.",
        rich_help_panel="Text",
    ),
]
Split = Annotated[
    str | None,
    typer.Option(help="Percent for train/valid/test. Default: 90/5/5.", rich_help_panel="Text"),
]
FrameName = Annotated[
    Literal["line", "paragraph", "document"] | None,
    typer.Option(
        help="What <start> and <stop> enclose. Default: paragraphs for words (lines where there "
        "are none), else documents.",
        rich_help_panel="Text",
    ),
]
