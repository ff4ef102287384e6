"""Shape of one recurrent language model."""

from dataclasses import dataclass
from typing import Literal, get_args

from charlm.cells import CELLS, CellName, ConnectionName, JordanCell
from charlm.errors import ConfigError
from charlm.model.length import SCALES

EmbeddingName = Literal["learned", "one-hot"]
SoftmaxName = Literal["full", "adaptive"]
LabelName = Literal["state", "input", "both"]
StopName = Literal["symbol", "halt", "length"]
CHOICES = {
    "cell": CellName,
    "embedding": EmbeddingName,
    "connect": ConnectionName,
    "softmax": SoftmaxName,
    "label": LabelName,
    "stop_by": StopName,
}
DROPOUTS = ("dropout", "hidden_dropout", "input_dropout", "embedding_dropout", "weight_dropout")
NUM_SPECIALS = 3  # <start>, <stop> and <other>, the last ids of every vocabulary


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Shape of one recurrent language model. Sizes count units; dropouts are probabilities.

    Raises:
        ConfigError: a value is out of range, has no effect or conflicts with another.
    """

    vocab_size: int  # number of outputs, including <start>, <stop> and <other>
    cell: CellName = "lstm"
    leak: float | None = None  # for cell leaky, in (0, 1]; None: 0.5
    embedding: EmbeddingName = "learned"
    embedding_size: int = 512  # vocab_size for one-hot codes
    hidden_size: int = 512
    last_hidden_size: int | None = None  # for more than one layer; None: hidden_size
    num_layers: int = 1
    connect: ConnectionName = "plain"  # extra connections between layers
    transition_depth: int = 1  # layers from one state to the next: Pascanu et al. 2014
    mogrifier_steps: int = 0  # rounds of mutual gating before an LSTM step: Melis et al. 2020
    label: LabelName | None = None  # where a label enters: Goodfellow et al. 2016, sec. 10.2.4
    num_labels: int = 0
    tie_embeddings: bool = True  # input and output share a matrix: Press & Wolf 2017
    softmax: SoftmaxName = "full"
    softmax_cutoffs: tuple[int, ...] = ()  # first ids of the clusters: Grave et al. 2017
    stop_by: StopName = "symbol"  # how a text ends: Goodfellow et al. 2016, sec. 10.2.3
    dropout: float = 0.2  # locked, on the output and, if hidden_dropout is None, between layers
    hidden_dropout: float | None = None  # locked, between layers; None: dropout
    input_dropout: float = 0.0  # locked, on embedding features
    embedding_dropout: float = 0.0  # of whole words: Gal & Ghahramani 2016
    weight_dropout: float = 0.0  # on hidden-to-hidden weights: Merity et al. 2018

    def __post_init__(self) -> None:
        for name in ("vocab_size", "hidden_size", "embedding_size", "num_layers"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}.")
        for name, kind in CHOICES.items():
            value, known = getattr(self, name), get_args(kind)
            if value not in known and not (value is None and name == "label"):
                raise ConfigError(f"{name} must be one of {', '.join(known)}, not {value!r}.")
        for name in DROPOUTS:
            value = getattr(self, name)
            if value is None and name == "hidden_dropout":
                continue
            if not isinstance(value, (int, float)) or not 0 <= value < 1:
                raise ConfigError(f"{name} must be in [0, 1), not {value!r}.")
        if self.label is None and self.num_labels:
            raise ConfigError("num_labels has no effect without a label; add --label both.")
        if self.label is not None and (type(self.num_labels) is not int or self.num_labels < 1):
            raise ConfigError(
                f"num_labels must be a whole number of at least 1 with a label, not "
                f"{self.num_labels!r}."
            )
        self._check_cell()
        self._check_layers()
        self._check_embedding()
        self._check_softmax()

    def _check_cell(self) -> None:
        if self.leak is not None:
            if self.cell != "leaky":
                raise ConfigError(f"leak is for cell leaky, not {self.cell}.")
            if not 0 < self.leak <= 1:
                raise ConfigError(f"leak must be above 0 and at most 1, not {self.leak!r}.")
        for name, least in (("transition_depth", 1), ("mogrifier_steps", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise ConfigError(
                    f"{name} must be a whole number of {least} or more, not {value!r}."
                )
        if self.mogrifier_steps and self.cell != "lstm":
            raise ConfigError(f"mogrifier_steps are for cell lstm, not {self.cell}.")
        if not issubclass(CELLS[self.cell], JordanCell):
            return
        if self.num_layers > 1:
            raise ConfigError(f"cell {self.cell} feeds the output back, into a single layer.")
        if self.softmax == "adaptive":
            raise ConfigError(f"cell {self.cell} feeds all outputs back; use --softmax full.")
        if self.stop_by != "symbol":
            raise ConfigError(f"cell {self.cell} feeds all outputs back; use --stop-by symbol.")
        if self.cell == "jordan" and self.transition_depth > 1:
            raise ConfigError("transition_depth has no effect on cell jordan: no state feeds back.")

    def _check_layers(self) -> None:
        for name in ("last_hidden_size", "hidden_dropout"):
            if getattr(self, name) is not None and self.num_layers == 1:
                raise ConfigError(f"{name} has no effect on a single layer; add --num-layers 2.")
        if self.connect != "plain" and self.num_layers == 1:
            raise ConfigError(
                f"connect {self.connect} has no effect on a single layer; add --num-layers 2."
            )
        last = self.last_hidden_size
        if last is not None and (type(last) is not int or last < 1):
            raise ConfigError(
                f"last_hidden_size must be a whole number of at least 1, not {last!r}."
            )
        if self.connect in ("residual", "highway") and last not in (None, self.hidden_size):
            raise ConfigError(
                f"connect {self.connect} adds layers up, which must be of one width; leave out "
                "last_hidden_size."
            )

    def _check_embedding(self) -> None:
        if self.embedding == "one-hot":
            if self.tie_embeddings:
                raise ConfigError("one-hot codes have no matrix to tie; add --no-tie-embeddings.")
            if self.embedding_size != self.vocab_size:
                raise ConfigError(
                    f"one-hot codes are {self.vocab_size} wide; leave out embedding_size."
                )
            for name in ("embedding_dropout", "input_dropout", "mogrifier_steps"):
                if getattr(self, name):
                    raise ConfigError(f"{name} needs learned embeddings, not one-hot codes.")
        if self.tie_embeddings and self.embedding_size != self.output_size:
            width = "hidden_size" if self.last_hidden_size is None else "last_hidden_size"
            width = "all layers together" if self.connect == "skip" else width
            raise ConfigError(
                f"tied embeddings need embedding_size = {width}, not {self.embedding_size} "
                f"and {self.output_size}; add --no-tie-embeddings or make them equal."
            )

    def _check_softmax(self) -> None:
        cuts = self.softmax_cutoffs
        if self.softmax == "full" and cuts:
            raise ConfigError("softmax_cutoffs have no effect on a full softmax.")
        if self.stop_by != "symbol" and self.softmax == "adaptive":
            raise ConfigError(f"stop_by {self.stop_by} needs a full softmax; add --softmax full.")
        most = self.vocab_size - NUM_SPECIALS
        if self.softmax == "adaptive" and (
            not cuts or list(cuts) != sorted(set(cuts)) or cuts[0] < 1 or cuts[-1] >= most
        ):
            raise ConfigError(
                f"softmax_cutoffs must rise from at least 1 to at most {most - 1:,}, not "
                f"{list(cuts)}."
            )

    @property
    def shape(self) -> str:
        """Description such as `2 x 1150 lstm, the last of 400`."""
        parts = [f"{self.num_layers} x {self.hidden_size} {self.cell}"]
        if self.last_hidden_size is not None:
            parts.append(f"the last of {self.last_hidden_size}")
        if self.connect != "plain":
            parts.append(f"{self.connect} connections")
        if self.transition_depth > 1:
            parts.append(f"transitions {self.transition_depth} deep")
        if self.mogrifier_steps:
            parts.append(f"{self.mogrifier_steps} mogrifier steps")
        if self.embedding == "one-hot":
            parts.append("one-hot")
        if self.stop_by != "symbol":
            parts.append({"halt": "halting unit", "length": "length foretold"}[self.stop_by])
        if self.label is not None:
            entered = {"state": "initial state", "input": "input", "both": "state and input"}
            parts.append(f"{self.num_labels} labels as {entered[self.label]}")
        return ", ".join(parts)

    @property
    def dropouts(self) -> str:
        """Description of `dropout` and the others above 0: `dropout 0.5, weight dropout 0.3`."""
        named = {name: getattr(self, name) for name in DROPOUTS}
        acting = {name: p for name, p in named.items() if p or name == "dropout"}
        return ", ".join(f"{name.replace('_', ' ')} {p:g}" for name, p in acting.items())

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """Number of units of each layer, starting with the one above the embedding."""
        last = self.hidden_size if self.last_hidden_size is None else self.last_hidden_size
        return (self.hidden_size,) * (self.num_layers - 1) + (last,)

    @property
    def input_sizes(self) -> tuple[int, ...]:
        """Number of inputs of each layer, starting with the one above the embedding."""
        first = self.embedding_size + (self.num_labels if self.sees_label else 0)
        first += len(SCALES) if self.stop_by == "length" else 0
        below = (first, *self.layer_sizes[:-1])
        if self.connect != "skip":
            return below
        return (first, *(size + first for size in below[1:]))

    @property
    def sees_label(self) -> bool:
        """Return whether the label is an input at every step."""
        return self.label in ("input", "both")

    @property
    def output_size(self) -> int:
        """Number of units below the softmax: of the last layer, or of all layers with skip."""
        last = self.hidden_size if self.last_hidden_size is None else self.last_hidden_size
        # `layer_sizes` is avoided: an untrusted config may have a billion layers.
        return last + (self.num_layers - 1) * self.hidden_size if self.connect == "skip" else last
