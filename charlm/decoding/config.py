"""How text is chosen from a model's probabilities."""

from dataclasses import dataclass

from charlm.errors import ConfigError

MAX_LENGTH_PENALTY = 10  # length ** 10 is still a number, whatever the length


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodingConfig:
    """Settings of `generate`; the names and meanings are Hugging Face's, with `beam` for num_beams.

    With a `beam` the most probable text is searched for, and a beam of 1 is greedy; without one,
    text is sampled, or decoded greedily where temperature is 0 or `greedy` is set.
    """

    max_new_tokens: int = 400
    greedy: bool = False
    temperature: float = 1.0
    beam: int | None = None
    length_penalty: float = 1.0  # beams score log P / length ** length_penalty
    early_stopping: bool = False  # stop as soon as `beam` hypotheses are finished
    num_return_sequences: int = 1
    allow_other: bool = False

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "beam", "num_return_sequences"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}.")
        if not abs(self.length_penalty) <= MAX_LENGTH_PENALTY:
            raise ConfigError(
                f"length_penalty must be from -{MAX_LENGTH_PENALTY} to {MAX_LENGTH_PENALTY}, not "
                f"{self.length_penalty:g}."
            )
        if not 0 <= self.temperature < float("inf"):
            raise ConfigError(f"temperature must be 0 or more, not {self.temperature:g}.")
        if self.beam is not None and self.num_return_sequences > self.beam:
            raise ConfigError(
                f"a beam of {self.beam} ends with {self.beam} texts, not "
                f"{self.num_return_sequences}; widen --beam or lower --num-return-sequences."
            )
        if self.beam is None and self.is_greedy and self.num_return_sequences > 1:
            raise ConfigError(
                "greedy decoding has one result; leave out --num-return-sequences, or sample."
            )

    @property
    def is_greedy(self) -> bool:
        """Whether each token is the most probable one."""
        return self.greedy or self.temperature == 0
