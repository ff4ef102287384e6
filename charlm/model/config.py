"""The shape of one recurrent language model."""

from dataclasses import dataclass
from typing import get_args

from charlm.cells import CellName
from charlm.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """Shape of one recurrent language model. Sizes count units; dropout is a probability."""

    vocab_size: int  # outputs, <start>, <stop> and <other> among them
    cell: CellName = "lstm"
    embedding_size: int = 512
    hidden_size: int = 512
    num_layers: int = 1
    tie_embeddings: bool = True  # input and output share their matrix: Press & Wolf 2017
    dropout: float = 0.2  # locked, between layers and on the output

    def __post_init__(self) -> None:
        for name in ("vocab_size", "hidden_size", "embedding_size", "num_layers"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}.")
        if self.cell not in get_args(CellName):
            known = ", ".join(get_args(CellName))
            raise ConfigError(f"cell must be one of {known}, not {self.cell!r}.")
        if not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1), not {self.dropout!r}.")
        if self.tie_embeddings and self.embedding_size != self.hidden_size:
            raise ConfigError(
                f"tied embeddings need embedding_size = hidden_size, not {self.embedding_size} "
                f"and {self.hidden_size}; add --no-tie-embeddings or make them equal."
            )
