"""Arguments and options shared by several commands."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from charlm.errors import TextError

Checkpoint = Annotated[
    Path | None,
    typer.Argument(
        help="Checkpoint folder written by `charlm train`. Default: the newest in checkpoints/."
    ),
]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Device to compute on.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Seed = Annotated[
    int | None,
    typer.Option(min=0, max=2**63 - 1, help="Random seed; the same seed gives the same result."),
]

Context = Annotated[
    Literal["stream", "frame", "both"] | None,
    typer.Option(
        "--context",
        help="Context of each prediction: the whole text before it (stream), its frame only "
        "(frame), or the text before and after it (both; requires a model trained with "
        "--direction both). Default: as trained.",
    ),
]
FrameOfText = Annotated[
    Literal["line", "paragraph", "document"] | None,
    typer.Option("--frame", help="Unit of text between <start> and <stop>. Default: as trained."),
]

Label = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME[=WEIGHT]",
        help="Label to condition on, for a model trained with labels; give several with "
        "weights to blend them.",
    ),
]

CHOOSING = "Choosing tokens"

MaxNewTokens = Annotated[
    int | None,
    typer.Option(
        "--max-new-tokens", "-n", help="Maximum number of tokens to generate. Default: 400."
    ),
]
StopStrings = Annotated[
    list[str] | None,
    typer.Option("--stop", metavar="TEXT", help="Stop before TEXT is generated. May be repeated."),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        help="Sampling temperature: below 1 favours probable tokens, above 1 flattens the "
        "distribution, 0 is greedy. Default: 1.",
        rich_help_panel=CHOOSING,
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(help="Sample from the K most probable tokens.", rich_help_panel=CHOOSING),
]
TopP = Annotated[
    float | None,
    typer.Option(
        help="Sample from the most probable tokens whose probabilities add up to P.",
        rich_help_panel=CHOOSING,
    ),
]
MinP = Annotated[
    float | None,
    typer.Option(
        help="Keep only tokens with at least P times the probability of the most probable one.",
        rich_help_panel=CHOOSING,
    ),
]

LevelName = Literal["char", "word", "byte", "bpe"]
Level = Annotated[
    LevelName | None,
    typer.Option(
        help="Unit of tokenization: char, word, byte or bpe. Default: char.", rich_help_panel="Text"
    ),
]
VocabSize = Annotated[
    int | None,
    typer.Option(
        help="Number of symbols to keep, by frequency. Default: all characters; up to 10,000 "
        "words that occur at least twice; 4,096 BPE tokens.",
        rich_help_panel="Text",
    ),
]
Lowercase = Annotated[
    bool | None,
    typer.Option("--lowercase", help="Convert to lower case (words only).", rich_help_panel="Text"),
]
Pretokenized = Annotated[
    bool | None,
    typer.Option(
        "--pretokenized",
        help="The text is already split into words, with <unk> and <eos> as in PTB and WikiText.",
        rich_help_panel="Text",
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Percentages of the corpus for training/validation/test. Default: 90/5/5.",
        rich_help_panel="Text",
    ),
]
FrameName = Annotated[
    Literal["line", "paragraph", "document"] | None,
    typer.Option(
        help="Unit of text between <start> and <stop>. Default: paragraphs for words (lines "
        "if there are none), otherwise documents.",
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
