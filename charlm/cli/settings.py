"""Options for the settings of `charlm train`, each with its help panel and help text."""

from functools import partial
from typing import Annotated, Literal

import typer

from charlm.errors import ConfigError

text = partial(typer.Option, rich_help_panel="Text")
model = partial(typer.Option, rich_help_panel="Model")
regularisation = partial(typer.Option, rich_help_panel="Regularization")
windows = partial(typer.Option, rich_help_panel="Windows")
optimisation = partial(typer.Option, rich_help_panel="Optimizer and schedule")
averaging = partial(typer.Option, rich_help_panel="Averages of weights")
validation = partial(typer.Option, rich_help_panel="Validation")

Time = Annotated[
    str | None,
    typer.Option(
        help="Training time, such as 90s, 5m or 1h30m; a number alone means minutes. Default: 5m."
    ),
]
Epochs = Annotated[
    float | None, typer.Option(help="Number of passes over the training text, instead of a time.")
]
Steps = Annotated[
    int | None, typer.Option(min=1, help="Number of optimizer steps, instead of a time.")
]

Valid = Annotated[list[str] | None, text(help="Validation text, instead of a split of the corpus.")]
Test = Annotated[list[str] | None, text(help="Test text, instead of a split of the corpus.")]
KeepText = Annotated[
    bool | None,
    text(
        "--keep-text/--no-keep-text",
        help="Store the validation and test texts in the checkpoint, so that it can be "
        "evaluated without the corpus. Default: yes.",
    ),
]
IndependentFrames = Annotated[
    bool | None,
    text(
        "--independent-frames/--no-independent-frames",
        help="Reset the hidden state at the start of each frame. Default: no.",
    ),
]

Direction = Annotated[
    Literal["forward", "backward", "both"] | None,
    text(
        help="Reading direction: forward, backward (predict each token from those after it), "
        "or both (train two models). Default: forward."
    ),
]

Label = Annotated[
    Literal["state", "input", "both"] | None,
    text(
        help="Train on labelled texts (a .tsv file, a .jsonl file, or one folder per label), "
        "with the label as the initial state, as an input at every step, or both."
    ),
]
LabelColumn = Annotated[
    str | None, text(help="Name of the column with the labels. Default: label.")
]
TextColumn = Annotated[str | None, text(help="Name of the column with the texts. Default: text.")]

CountedLabels = Annotated[int | None, model("--num-labels", help="Number of labels.")]
CountedSymbols = Annotated[
    int | None,
    model(
        "--vocab-size", help="Number of symbols in the vocabulary, without the three special ones."
    ),
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
        help="Recurrent cell: rnn, rnn-relu, rnn-sigmoid, jordan, elman-jordan, leaky, "
        "leaky-learned, lstm, lstm-1997, lstm-coupled, lstm-peephole, gru or gru-2014. "
        "Default: lstm.",
    ),
]
Leak = Annotated[
    float | None, model(help="Update rate of leaky units, between 0 and 1. Default: 0.5.")
]
Embedding = Annotated[
    Literal["learned", "one-hot"] | None,
    model(
        help="Input representation of a token: a learned vector or a one-hot code. Default: "
        "learned."
    ),
]
Embeddings = Annotated[
    str | None,
    model(
        help="Initialize the embeddings from a text file in the format of GloVe or word2vec.",
        metavar="FILE",
    ),
]
FreezeEmbeddings = Annotated[
    bool | None,
    model("--freeze-embeddings", help="Do not update the pretrained embeddings. Default: no."),
]
Connect = Annotated[
    Literal["plain", "residual", "highway", "skip"] | None,
    model(
        help="Extra connections between layers: residual, highway or skip. Default: plain (none)."
    ),
]
TransitionDepth = Annotated[
    int | None,
    model(help="Number of layers in the transition from one hidden state to the next. Default: 1."),
]
HiddenSize = Annotated[
    int | None, model(help="Number of hidden units in each layer. Default: planned.")
]
LastHiddenSize = Annotated[
    int | None,
    model(help="Number of hidden units in the last of several layers. Default: as in the others."),
]
EmbeddingSize = Annotated[
    int | None, model(help="Dimension of the token embeddings. Default: as the last layer.")
]
NumLayers = Annotated[int | None, model(help="Number of recurrent layers. Default: 1.")]
MogrifierSteps = Annotated[
    int | None,
    model(
        help="Number of mutual gating rounds of input and state before an LSTM (Mogrifier); "
        "slow. Default: 0."
    ),
]
TieEmbeddings = Annotated[
    bool | None,
    model(
        "--tie-embeddings/--no-tie-embeddings",
        help="Share the weights of input embedding and output layer. Default: where the sizes "
        "allow.",
    ),
]
Softmax = Annotated[
    Literal["full", "adaptive"] | None,
    model(
        help="Output layer: full, or adaptive with smaller projections for rare words. "
        "Default: planned from the vocabulary size."
    ),
]
SoftmaxCutoffs = Annotated[
    str | None,
    model(
        metavar="N,N,...",
        help="Frequency ranks at which adaptive softmax splits the vocabulary. Default: the "
        "fastest ones.",
    ),
]

StopBy = Annotated[
    Literal["symbol", "halt", "length"] | None,
    model(
        help="How the end of a sequence is modelled: a <stop> token, a sigmoid halting unit, "
        "or a length predicted up front. Default: symbol."
    ),
]

Dropout = Annotated[
    float | None,
    regularisation(help="Dropout probability of the output and between layers. Default: planned."),
]
HiddenDropout = Annotated[
    float | None, regularisation(help="Dropout probability between layers. Default: as --dropout.")
]
InputDropout = Annotated[
    float | None, regularisation(help="Dropout probability of the embedded input. Default: 0.")
]
EmbeddingDropout = Annotated[
    float | None,
    regularisation(help="Probability of dropping a token's whole embedding. Default: planned."),
]
WeightDropout = Annotated[
    float | None,
    regularisation(help="Dropout probability of the hidden-to-hidden weights. Default: planned."),
]
ActivationPenalty = Annotated[
    float | None,
    regularisation(help="Weight of the penalty on large activations (AR). Default: 0."),
]
TemporalActivationPenalty = Annotated[
    float | None,
    regularisation(
        help="Weight of the penalty on changes of the activations between steps (TAR). Default: 0."
    ),
]
WeightDecay = Annotated[
    float | None,
    regularisation(help="Weight decay of the matrices; biases have none. Default: 0.01."),
]

BatchSize = Annotated[
    int | None, windows(help="Number of parallel streams through the text. Default: planned.")
]
Bptt = Annotated[
    int | None,
    windows(
        help="Number of tokens per window, the length of truncated backpropagation. Default: "
        "planned."
    ),
]
VariableBptt = Annotated[
    bool | None,
    windows(
        "--variable-bptt/--no-variable-bptt",
        help="Draw the length of each window at random. Default: no.",
    ),
]
StateReset = Annotated[
    float | None,
    windows(
        help="Probability of resetting a stream's hidden state before a window. Default: 0; "
        "for a Mogrifier 0.01."
    ),
]
PartialShuffle = Annotated[
    bool | None,
    windows(
        "--partial-shuffle/--no-partial-shuffle",
        help="Start each epoch at another place in each stream. Default: no.",
    ),
]
AccumulationSteps = Annotated[
    int | None,
    windows(help="Number of windows whose gradients are accumulated for one step. Default: 1."),
]

Optimizer = Annotated[
    Literal["adamw", "sgd", "muon"] | None,
    optimisation(help="Optimizer: adamw, sgd or muon. Default: adamw."),
]
LearningRate = Annotated[
    float | None,
    optimisation(help="Peak learning rate. Default: planned; for sgd 20 (words) or 5."),
]
WarmupSteps = Annotated[
    int | None,
    optimisation(
        help="Number of steps in which the learning rate rises from 0. Default: at most 100."
    ),
]
Schedule = Annotated[
    Literal["cosine", "constant", "plateau"] | None,
    optimisation(
        help="Learning rate schedule after warmup. Default: constant with a final decay if a "
        "time is given, else cosine."
    ),
]
DecayShare = Annotated[
    float | None,
    optimisation(
        help="Share of the steps, at the end, in which `constant` decays to 0. Default: 0.3."
    ),
]
PlateauFactor = Annotated[
    float | None,
    optimisation(
        help="Factor by which `plateau` divides the rate after a validation without "
        "improvement. Default: 4."
    ),
]
ClipNorm = Annotated[
    float | None,
    optimisation(help="Maximum gradient norm. Default: 1; for sgd 0.25 (words) or 5."),
]
ClipValue = Annotated[
    float | None,
    optimisation(help="Clip each gradient element to this absolute value (replaces --clip-norm)."),
]
Precision = Annotated[
    Literal["float32", "bfloat16"] | None,
    optimisation(
        help="Precision of matrix multiplications. Default: bfloat16 where the device "
        "supports it and the model has at least 128 units, else float32."
    ),
]

Averaging = Annotated[
    Literal["none", "ema", "tail", "triggered"] | None,
    averaging(
        help="Average of the weights, validated next to the current ones: ema, tail or "
        "triggered (`--optimizer sgd --averaging triggered` is NT-ASGD). Default: none."
    ),
]
AverageDecay = Annotated[
    float | None,
    averaging(help="Decay of the exponential moving average per step. Default: 0.999."),
]
AverageShare = Annotated[
    float | None,
    averaging(help="Share of the steps, at the end, that `tail` averages. Default: 0.25."),
]
TriggerInterval = Annotated[
    int | None,
    averaging(
        help="Number of validations without improvement before `triggered` starts averaging. "
        "Default: 5."
    ),
]

ValidEvery = Annotated[
    int | None, validation(help="Number of steps between validations. Default: planned.")
]
Patience = Annotated[
    int | None,
    validation(help="Stop after this number of validations without improvement. Default: never."),
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
