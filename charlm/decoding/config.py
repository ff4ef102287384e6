"""Decoding settings: how text is chosen from a model's probabilities."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Literal

from charlm.errors import ConfigError

MAX_LENGTH_PENALTY = 10  # length ** 10 does not overflow for any length
MAX_BIAS = 1e4  # added to a logit; larger than the logits of any model

Mode = Literal["sampling", "sampling without replacement", "greedy", "beam", "exhaustive"]

SAMPLING: tuple[Mode, ...] = ("sampling", "sampling without replacement")
CHOICES_OF_MODE = ("exhaustive", "beam", "without_replacement", "greedy")
EFFECTIVE: dict[str, tuple[Mode, ...]] = {
    "temperature": SAMPLING,
    "top_k": SAMPLING,
    "top_p": SAMPLING,
    "min_p": SAMPLING,
    "typical_p": SAMPLING,
    "seed": SAMPLING,
    "batch_size": ("sampling", "greedy"),
    "num_return_sequences": (*SAMPLING, "beam", "exhaustive"),
    "length_penalty": ("beam", "exhaustive"),
    "early_stopping": ("beam",),
    "num_beam_groups": ("beam",),
    "diversity_penalty": ("beam",),
}
"""The modes in which a setting has an effect, where those are not all."""

NAMES: dict[Mode, str] = {
    "sampling": "sampling",
    "greedy": "greedy decoding",
    "beam": "beam search",
    "exhaustive": "exhaustive search",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodingConfig:
    """Settings of `generate`; names and meanings are those of Hugging Face, except `beam`.

    Text is sampled by default. Other modes are greedy decoding (`greedy`, or temperature 0), beam
    search (`beam`, Hugging Face's num_beams; 1 is greedy) and exhaustive search (`exhaustive`).
    Penalties and filters are explained at their functions in `charlm.decoding.filters`.

    Raises:
        ConfigError: a setting is out of range, contradicts another or has no effect.
    """

    max_new_tokens: int = 400
    min_new_tokens: int = 0  # minimum before <stop> or a stop string may end the text
    stop: tuple[str, ...] = ()  # the text ends before the first of these strings

    greedy: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    without_replacement: bool = False  # distinct texts: stochastic beam search

    repetition_penalty: float = 1.0  # on tokens of the prompt and the text
    presence_penalty: float = 0.0  # on tokens of the text
    frequency_penalty: float = 0.0  # on tokens of the text, per occurrence
    no_repeat_ngram_size: int = 0
    ban: tuple[str, ...] = ()  # never generated: words for word models, else strings
    bias: dict[str, float] = field(default_factory=dict)  # added to the logits of tokens
    allow_other: bool = False

    beam: int | None = None
    length_penalty: float = 1.0  # score: log P / length ** length_penalty
    early_stopping: bool = False  # stop as soon as `beam` hypotheses are finished
    num_beam_groups: int = 1  # diverse beam search: Vijayakumar et al. 2016
    diversity_penalty: float = 0.0  # nats for each earlier group that chose the same token
    exhaustive: bool = False
    num_return_sequences: int = 1

    def __post_init__(self) -> None:
        self._check_numbers()
        if any(text == "" for text in (*self.stop, *self.ban, *self.bias)):
            raise ConfigError("a stop string, a ban and a bias need a text, not an empty one.")
        self._check_beam()
        modes = [name for name in CHOICES_OF_MODE if getattr(self, name)]
        modes += ["temperature"] * (self.temperature == 0)
        if len(modes) > 1:
            raise ConfigError(f"{flag(modes[0])} and {flag(modes[1])} exclude each other.")
        check_effective(self.mode, (f.name for f in fields(self) if self._differs(f.name)))

    @property
    def mode(self) -> Mode:
        """Decoding mode that the settings select."""
        if self.exhaustive:
            return "exhaustive"
        if self.beam is not None:
            return "beam"
        if self.greedy or self.temperature == 0:
            return "greedy"
        return "sampling without replacement" if self.without_replacement else "sampling"

    def _differs(self, name: str) -> bool:
        if name == "temperature" and self.temperature == 0 and not self.greedy:
            return False  # temperature 0 selects greedy mode
        default = type(self).__dataclass_fields__[name].default
        return name in EFFECTIVE and bool(getattr(self, name) != default)

    def _check_numbers(self) -> None:
        for name, least in (
            ("max_new_tokens", 1),
            ("min_new_tokens", 0),
            ("top_k", 1),
            ("no_repeat_ngram_size", 0),
            ("beam", 1),
            ("num_beam_groups", 1),
            ("num_return_sequences", 1),
        ):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < least):
                raise ConfigError(
                    f"{name} must be a whole number of at least {least}, not {value!r}."
                )
        for name, low, high, allowed in (
            ("temperature", 0, math.inf, "0 or more"),
            ("top_p", 1e-300, 1, "above 0 and at most 1"),
            ("typical_p", 1e-300, 1, "above 0 and at most 1"),
            ("min_p", 0, 1, "from 0 to 1"),
            ("repetition_penalty", 1e-4, 1e4, "from 0.0001 to 10,000"),
            ("presence_penalty", -MAX_BIAS, MAX_BIAS, "from -10,000 to 10,000"),
            ("frequency_penalty", -MAX_BIAS, MAX_BIAS, "from -10,000 to 10,000"),
            ("diversity_penalty", 0, MAX_BIAS, "from 0 to 10,000"),
            ("length_penalty", -MAX_LENGTH_PENALTY, MAX_LENGTH_PENALTY, "from -10 to 10"),
        ):
            value = getattr(self, name)
            if not low <= value <= high or math.isinf(value):
                raise ConfigError(f"{name} must be {allowed}, not {value:g}.")
        for text, value in self.bias.items():
            if not abs(value) <= MAX_BIAS:
                raise ConfigError(f"the bias of {text!r} must be from -10,000 to 10,000.")
        if self.min_new_tokens > self.max_new_tokens:
            raise ConfigError(
                f"min_new_tokens must be at most max_new_tokens, {self.max_new_tokens}, not "
                f"{self.min_new_tokens}."
            )

    def _check_beam(self) -> None:
        if self.beam is not None and self.num_return_sequences > self.beam:
            raise ConfigError(
                f"a beam of {self.beam} ends with {self.beam} texts, not "
                f"{self.num_return_sequences}; widen --beam or lower --num-return-sequences."
            )
        if self.beam is not None and self.beam % self.num_beam_groups:
            raise ConfigError(
                f"a beam of {self.beam} cannot be split into {self.num_beam_groups} equal groups."
            )
        if (self.diversity_penalty > 0) != (self.num_beam_groups > 1):
            raise ConfigError("--beam-groups and --diversity-penalty need each other.")


def check_effective(mode: Mode, given: Iterable[str]) -> None:
    """Check that every given setting has an effect in a mode.

    Raises:
        ConfigError: a setting has no effect in this mode.
    """
    for name in given:
        if mode not in EFFECTIVE.get(name, (mode,)):
            its_own = " and ".join(NAMES[m] for m in EFFECTIVE[name] if m in NAMES)
            raise ConfigError(
                f"{flag(name)} has no effect in {NAMES.get(mode, mode)}; it is for {its_own}."
            )


def flag(name: str) -> str:
    """Return the command-line option of a setting."""
    return {"num_beam_groups": "--beam-groups"}.get(name, "--" + name.replace("_", "-"))
