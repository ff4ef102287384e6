"""How text is chosen from a model's probabilities."""

from dataclasses import dataclass

from charlm.errors import ConfigError

MAX_LENGTH_PENALTY = 10  # length ** 10 is still a number, whatever the length


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodingConfig:
    """Settings of `generate`; the names and meanings are Hugging Face's, with `beam` for num_beams.

    A beam of 1 samples, or decodes greedily where temperature is 0 or `greedy` is set; a wider
    one searches for the most probable text.
    """

    max_new_tokens: int = 400
    greedy: bool = False
    temperature: float = 1.0
    beam: int = 1
    length_penalty: float = 1.0  # beams score log P / length ** length_penalty
    early_stopping: bool = False  # stop as soon as `beam` hypotheses are finished
    num_return_sequences: int = 1
    allow_other: bool = False

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "beam", "num_return_sequences"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}.")
        if not abs(self.length_penalty) <= MAX_LENGTH_PENALTY:
            raise ConfigError(
                f"length_penalty must be from -{MAX_LENGTH_PENALTY} to {MAX_LENGTH_PENALTY}, not "
                f"{self.length_penalty:g}."
            )
        if not 0 <= self.temperature < float("inf"):
            raise ConfigError(f"temperature must be 0 or more, not {self.temperature:g}.")
        if self.beam > 1 and self.num_return_sequences > self.beam:
            raise ConfigError(
                f"a beam of {self.beam} ends with {self.beam} texts, not "
                f"{self.num_return_sequences}; widen --beam or lower --num-return-sequences."
            )
        if self.beam == 1 and self.is_greedy and self.num_return_sequences > 1:
            raise ConfigError(
                "greedy decoding has one result; leave out --num-return-sequences, or sample."
            )

    @property
    def is_greedy(self) -> bool:
        """Whether each token is the most probable one."""
        return self.greedy or self.temperature == 0
