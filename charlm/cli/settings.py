"""Options for the settings of `charlm train`, each with its help panel and help text."""

from functools import partial
from typing import Annotated, Literal

import typer

from charlm.errors import ConfigError

text = partial(typer.Option, rich_help_panel="Text")
model = partial(typer.Option, rich_help_panel="Model")
regularisation = partial(typer.Option, rich_help_panel="Regularisation")
windows = partial(typer.Option, rich_help_panel="Windows")
optimisation = partial(typer.Option, rich_help_panel="Optimiser and schedule")
averaging = partial(typer.Option, rich_help_panel="Averages of weights")
validation = partial(typer.Option, rich_help_panel="Validation")

Time = Annotated[
    str | None, typer.Option(help="Budget: 90s, 5m, 1h30m; a bare number is minutes. Default: 5m.")
]
Epochs = Annotated[float | None, typer.Option(help="Passes over the text, instead of a time.")]
Steps = Annotated[int | None, typer.Option(min=1, help="Optimiser steps, instead of a time.")]

Valid = Annotated[list[str] | None, text(help="A text to validate on, instead of a split.")]
Test = Annotated[list[str] | None, text(help="A text to test on, instead of a split.")]
KeepText = Annotated[
    bool | None,
    text(
        "--keep-text/--no-keep-text",
        help="Keep the validation and test texts in the checkpoint, so that its figures can be "
        "repeated without the corpus. Default: yes.",
    ),
]
IndependentFrames = Annotated[
    bool | None,
    text(
        "--independent-frames/--no-independent-frames",
        help="Forget everything at each <start>. Default: no.",
    ),
]

Direction = Annotated[
    Literal["forward", "backward", "both"] | None,
    text(help="backward: predict the past from the future; both: two models. Default: forward."),
]

Label = Annotated[
    Literal["state", "input", "both"] | None,
    text(
        help="Learn texts with labels (a .tsv, a .jsonl, or a folder for each label); the label is "
        "the initial state, an input at every step, or both."
    ),
]
LabelColumn = Annotated[str | None, text(help="Column of the labels. Default: label.")]
TextColumn = Annotated[str | None, text(help="Column of the texts. Default: text.")]

CountedLabels = Annotated[int | None, model("--num-labels", help="How many labels there are.")]
CountedSymbols = Annotated[
    int | None, model("--vocab-size", help="Symbols of the vocabulary; charlm adds three.")
]
Cell = Annotated[
    Literal[
        "rnn",
        "rnn-relu",
        "rnn-sigmoid",
        "jordan",
        "elman-jordan",
        "leaky",
        "leaky-learned",
        "lstm",
        "lstm-1997",
        "lstm-coupled",
        "lstm-peephole",
        "gru",
        "gru-2014",
    ]
    | None,
    model(
        metavar="NAME",
        help="rnn, rnn-relu, rnn-sigmoid, jordan, elman-jordan, leaky, leaky-learned, lstm, "
        "lstm-1997, lstm-coupled, lstm-peephole, gru or gru-2014. Default: lstm.",
    ),
]
Leak = Annotated[
    float | None, model(help="How much of a leaky unit is new at each step. Default: 0.5.")
]
Embedding = Annotated[
    Literal["learned", "one-hot"] | None,
    model(help="What stands for a token: a learned vector, or a one-hot code. Default: learned."),
]
Embeddings = Annotated[
    str | None,
    model(help="Begin with the vectors of a text file, GloVe's or word2vec's.", metavar="FILE"),
]
FreezeEmbeddings = Annotated[
    bool | None, model("--freeze-embeddings", help="Keep them as they are. Default: no.")
]
Connect = Annotated[
    Literal["plain", "residual", "highway", "skip"] | None,
    model(help="How layers are connected besides one above the other. Default: plain."),
]
TransitionDepth = Annotated[
    int | None,
    model(help="Layers of computation from one state to the next, in a cell. Default: 1."),
]
HiddenSize = Annotated[int | None, model(help="Units of a layer. Default: planned.")]
LastHiddenSize = Annotated[
    int | None, model(help="Units of the last of several layers. Default: as the others.")
]
EmbeddingSize = Annotated[
    int | None, model(help="Width of a token's vector. Default: as the last layer.")
]
NumLayers = Annotated[int | None, model(help="Layers, one above the other. Default: 1.")]
MogrifierSteps = Annotated[
    int | None,
    model(help="Rounds in which input and state gate each other before an LSTM; slow. Default: 0."),
]
TieEmbeddings = Annotated[
    bool | None,
    model(
        "--tie-embeddings/--no-tie-embeddings",
        help="One matrix for input and output. Default: where the sizes allow.",
    ),
]
Softmax = Annotated[
    Literal["full", "adaptive"] | None,
    model(help="adaptive: rare words cost less. Default: planned by the vocabulary's size."),
]
SoftmaxCutoffs = Annotated[
    str | None,
    model(
        metavar="N,N,...",
        help="Where adaptive softmax cuts the words, by rank. Default: where it costs least.",
    ),
]

StopBy = Annotated[
    Literal["symbol", "halt", "length"] | None,
    model(
        help="What ends a text: <stop> among the symbols, a unit of its own that halts, or a "
        "length that is foretold. Default: symbol."
    ),
]

Dropout = Annotated[
    float | None,
    regularisation(help="Drops features of the output and between layers. Default: planned."),
]
HiddenDropout = Annotated[
    float | None, regularisation(help="Between layers alone. Default: as --dropout.")
]
InputDropout = Annotated[
    float | None, regularisation(help="Drops features of the embedding. Default: 0.")
]
EmbeddingDropout = Annotated[
    float | None, regularisation(help="Drops whole tokens wherever they stand. Default: planned.")
]
WeightDropout = Annotated[
    float | None, regularisation(help="Drops hidden-to-hidden weights. Default: planned.")
]
ActivationPenalty = Annotated[
    float | None, regularisation(help="Penalty on large outputs (AR). Default: 0.")
]
TemporalActivationPenalty = Annotated[
    float | None, regularisation(help="Penalty on outputs that change fast (TAR). Default: 0.")
]
WeightDecay = Annotated[
    float | None, regularisation(help="Of matrices, not of biases. Default: 0.01.")
]

BatchSize = Annotated[
    int | None, windows(help="Parallel streams through the text. Default: planned.")
]
Bptt = Annotated[
    int | None, windows(help="Tokens a window, and how far gradients reach. Default: planned.")
]
VariableBptt = Annotated[
    bool | None,
    windows("--variable-bptt/--no-variable-bptt", help="Draw each window's length. Default: no."),
]
StateReset = Annotated[
    float | None,
    windows(help="Chance that a stream forgets all before a window. Default: 0; mogrifiers 0.01."),
]
PartialShuffle = Annotated[
    bool | None,
    windows(
        "--partial-shuffle/--no-partial-shuffle",
        help="Begin each epoch elsewhere in each stream. Default: no.",
    ),
]
AccumulationSteps = Annotated[
    int | None, windows(help="Windows whose gradients make one step. Default: 1.")
]

Optimizer = Annotated[Literal["adamw", "sgd", "muon"] | None, optimisation(help="Default: adamw.")]
LearningRate = Annotated[
    float | None, optimisation(help="At its height. Default: planned; for sgd 20 (words) or 5.")
]
WarmupSteps = Annotated[
    int | None, optimisation(help="Steps in which the rate rises. Default: 100 at most.")
]
Schedule = Annotated[
    Literal["cosine", "constant", "plateau"] | None,
    optimisation(
        help="How the rate goes on. Default: constant, then down, with a time; else cosine."
    ),
]
DecayShare = Annotated[
    float | None,
    optimisation(help="Last share of the steps, in which `constant` falls to 0. Default: 0.3."),
]
PlateauFactor = Annotated[
    float | None,
    optimisation(
        help="Divides `plateau`'s rate after a validation without a new best. Default: 4."
    ),
]
ClipNorm = Annotated[
    float | None,
    optimisation(help="Most norm of all gradients. Default: 1; for sgd 0.25 (words) or 5."),
]
ClipValue = Annotated[
    float | None, optimisation(help="Most size of each gradient, instead of a norm.")
]
Precision = Annotated[
    Literal["float32", "bfloat16"] | None,
    optimisation(
        help="Precision of matrix products. Default: bfloat16 where the device supports it, for "
        "128 units or more; else float32."
    ),
]

Averaging = Annotated[
    Literal["none", "ema", "tail", "triggered"] | None,
    averaging(
        help="A mean of weights, tried beside the raw ones; `--optimizer sgd --averaging "
        "triggered` is NT-ASGD. Default: none."
    ),
]
AverageDecay = Annotated[
    float | None, averaging(help="What `ema` keeps of the mean at each step. Default: 0.999.")
]
AverageShare = Annotated[
    float | None, averaging(help="Last share of the steps that `tail` averages. Default: 0.25.")
]
TriggerInterval = Annotated[
    int | None,
    averaging(help="Validations that `triggered` waits for a new best. Default: 5."),
]

ValidEvery = Annotated[int | None, validation(help="Steps from one to the next. Default: planned.")]
Patience = Annotated[
    int | None, validation(help="Stop after so many without a new best. Default: never.")
]


def parse_cutoffs(text: str) -> tuple[int, ...]:
    """Parse whole numbers separated by commas, such as `1000,4000`.

    Raises:
        ConfigError: the text does not have this form.
    """
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise ConfigError(f"--softmax-cutoffs must look like 1000,4000, not {text!r}.") from None
