"""Arguments and options shared by several commands."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from charlm.errors import TextError

Checkpoint = Annotated[
    Path | None,
    typer.Argument(help="Folder that `charlm train` wrote. Default: the newest in checkpoints/."),
]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where to compute.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Seed = Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Same seed, same result.")]

Context = Annotated[
    Literal["stream", "frame", "both"] | None,
    typer.Option(
        "--context",
        help="Predict from all of the text before, or from the frame alone. Default: as trained. "
        "both: from what stands before and after, with a model trained with --direction both.",
    ),
]
FrameOfText = Annotated[
    Literal["line", "paragraph", "document"] | None,
    typer.Option("--frame", help="What <start> and <stop> enclose. Default: as trained."),
]

Label = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME[=WEIGHT]",
        help="The label of a model trained with labels; several with weights are blended.",
    ),
]

CHOOSING = "How tokens are chosen"

MaxNewTokens = Annotated[
    int | None, typer.Option("--max-new-tokens", "-n", help="Length at most. Default: 400.")
]
StopStrings = Annotated[
    list[str] | None,
    typer.Option("--stop", metavar="TEXT", help="The text ends before TEXT. May be repeated."),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        help="Below 1 safer, above 1 bolder, 0 greedy. Default: 1.", rich_help_panel=CHOOSING
    ),
]
TopK = Annotated[
    int | None, typer.Option(help="Only the K likeliest tokens.", rich_help_panel=CHOOSING)
]
TopP = Annotated[
    float | None,
    typer.Option(
        help="Only the likeliest tokens that make up this share.", rich_help_panel=CHOOSING
    ),
]
MinP = Annotated[
    float | None,
    typer.Option(
        help="Only tokens this many times as likely as the likeliest.", rich_help_panel=CHOOSING
    ),
]

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


def check_utf8(text: str, level: LevelName) -> None:
    """Check that a text from the command line is valid UTF-8, unless the model reads bytes.

    Python represents invalid bytes as surrogate escapes.

    Raises:
        TextError: the text is not valid UTF-8.
    """
    if level != "byte" and any("\ud800" <= character <= "\udfff" for character in text):
        raise TextError(f"{text!r} is not UTF-8; convert it, or use a byte model.")
